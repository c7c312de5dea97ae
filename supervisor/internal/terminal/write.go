//go:build linux

package terminal

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Write is write(2) to a terminal that neither stops this process nor brings
// SIGTTOU to its group: to a thread that blocks the signal the terminal lets
// everything through, whatever "stty tostop" says.
func Write(fd int, b []byte) (n int, err error) {
	defer Block(unix.SIGTTOU)()
	return unix.Write(fd, b)
}

// Block keeps signals with numbers up to 32 from the thread of the caller, and from
// what it forks, until restore is called; the caller stays on the thread until then.
func Block(signals ...syscall.Signal) (restore func()) {
	runtime.LockOSThread()
	var set, before unix.Sigset_t
	for _, s := range signals {
		set.Val[0] |= 1 << (s - 1)
	}
	err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before)
	return func() {
		if err == nil {
			_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
		}
		runtime.UnlockOSThread()
	}
}
