//go:build linux && (amd64 || arm64)

package terminal

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the handler reads and writes, by the number of the signal: who sent the last
// one, si_code below si_pid, and the handler that was there before.
var (
	senders [64]uint64
	next    [64]uintptr
)

// handler is the address of the handler in assembly.
var handler uintptr

// action is the kernel's struct sigaction.
type action struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// Watch notes from now on who sends these signals. Package os/signal must deliver
// them already: its handler is called next.
func Watch(signals ...syscall.Signal) {
	for _, sig := range signals {
		var a action
		if sigaction(sig, nil, &a) != nil || a.handler == handler || a.handler <= 1 { // SIG_DFL, SIG_IGN
			continue
		}
		atomic.StoreUintptr(&next[sig], a.handler)
		a.handler = handler
		_ = sigaction(sig, &a, nil) // without it nobody is taken for the kernel
	}
}

func sigaction(sig syscall.Signal, set, old *action) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)),
		uintptr(unsafe.Pointer(old)), unsafe.Sizeof(action{}.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// last is who sent the last signal of this kind; 0: it is not known.
func last(sig syscall.Signal) (kernel bool, pid int) {
	noted := atomic.LoadUint64(&senders[sig&63])
	// What processes send has a code of 0 or below, sigaction(2).
	if code := int32(noted); code > 0 {
		return true, 0
	}
	return false, int(noted >> 32)
}
