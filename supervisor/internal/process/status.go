//go:build linux

package process

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Status is how a process ended. The zero value is success.
type Status struct {
	Code   int            // exit status, if Signal is 0
	Signal syscall.Signal // the signal that ended it, 0 if it exited
	Core   bool           // a core was dumped; only with a Signal
}

// String returns "exit status 3", "killed by SIGKILL" or, for the signals by
// which a program breaks, what a shell would say: "aborted (SIGABRT, core
// dumped)".
func (s Status) String() string {
	if s.Signal == 0 {
		return fmt.Sprintf("exit status %d", s.Code)
	}
	name := unix.SignalName(s.Signal)
	if name == "" {
		name = fmt.Sprintf("signal %d", int(s.Signal))
	}
	core := ""
	if s.Core {
		core = ", core dumped"
	}
	switch s.Signal {
	case syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL:
		return fmt.Sprintf("%v (%s%s)", s.Signal, name, core)
	}
	return "killed by " + name + core
}
