//go:build linux

// Package terminal is what the master has to do with the terminal it was started
// from: whether it is still there, which signals came from it, and how to write to
// it without being stopped.
//
// A process in the background of a terminal gets SIGTTIN and SIGTTOU from the
// kernel when somebody of its process group reads from the terminal or, under
// "stty tostop", writes to it; and everybody in front of it gets SIGHUP when the
// window is closed. The same signals mean other things to a master when people send
// them, so the sender has to be known. The kernel says it (siginfo_t of
// sigaction(2)), and package os/signal throws it away: where there is a few lines of
// assembly for the processor, a handler of our own notes it on the way to that of
// the Go runtime. Elsewhere nobody counts as the kernel.
package terminal
