//go:build linux

// Package shim is the few steps between the fork of a worker and the exec of
// its program, the ones that only the new process itself can take.
//
// LISTEN_PID must name the worker, and its pid exists only after the fork.
// Signal dispositions, user, working folder and the death signal cannot be set
// from outside either, and between fork and exec Go runs no Go code. So the
// master starts its own binary with a [Plan] in the environment, and this
// package's init carries the plan out and execs the worker. In every other
// process the init finds no plan and does nothing. Where a step fails, the init
// returns and leaves the explaining to whoever asks [Failed], who by then has
// all of the standard library at hand.
//
// The init comes before everything else in the binary: the command line, the
// logger and the metrics cost milliseconds, and a worker's start should not.
// Since Go 1.21 packages are initialised in the order of their import paths,
// each as soon as its own imports are done. This one imports nothing but
// unsafe, so it is due at once, while syscall already waits for a dozen others.
// The price is paid in sys.go: linknames to what syscall is made of, and
// system call numbers. It keeps the time from fork to the worker's exec at about
// 1.5 times what the start of an empty Go program takes. With syscall and strconv
// imported it was 1.64 where it is 1.51, and with strings or golang.org/x/sys/unix
// 2.0: these wait for unicode, and before that comes half of all packages, with
// the self-tests of cryptography among them.
// In package process a test reads the order off a real binary, and
// BenchmarkSpawn measures. Both hold for a static binary: with cgo, the dynamic
// loader and libc take longer than all of the rest.
//
// The plan travels in the environment because a command line would show the
// worker's environment to every user of the machine. Every string in it is
// numbered, so the worker's GOMAXPROCS or GODEBUG means nothing to the Go
// runtime underneath the shim.
package shim
