// An idle master sleeps: it does not wake up to ask how many processors it has.
//go:debug updatemaxprocs=0

// Command gosuper is a pre-fork process supervisor: what Gunicorn is to
// Python, for any executable.
//
// This package is the command line alone. It turns flags, environment and file
// into a configuration, hands that to package supervisor and turns what comes
// back into an exit status and a message that says what to do. Each command has
// a file.
//
// The main goroutine is locked to the main thread before anything else runs:
// workers die with the thread that started them.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

func init() {
	runtime.LockOSThread()
	// A bug must not end in 2, Go's own status after a panic: 2 says that the
	// configuration is wrong.
	debug.SetTraceback("crash")
	// The master lives long and allocates little: a small heap costs nothing and
	// leaves the memory to the workers.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
