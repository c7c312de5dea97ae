//go:build linux

package terminal

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Terminal is the controlling terminal, or that there was none.
type Terminal struct {
	there     bool // when this process began to look
	forgiving bool
}

// Find looks for the controlling terminal. It is to be called before anybody asks
// package os/signal for SIGHUP, after which nobody could tell any more whether that
// was ignored when the process was started, as nohup(1) does.
func Find() *Terminal {
	return &Terminal{there: present(), forgiving: signal.Ignored(syscall.SIGHUP)}
}

// Forgives reports that the process was started to outlive the terminal: SIGHUP was
// ignored.
func (t *Terminal) Forgives() bool { return t.forgiving }

// Forgive makes that so: the image of this process before this one found it.
func (t *Terminal) Forgive() { t.forgiving = true }

// Sent reports whether it was the terminal, and not a person, that sent the last
// signal of this kind: SIGTTIN, SIGTTOU or SIGHUP. [Watch] must have been called.
//
// A closed window says SIGHUP in two ways. The kernel sends it to the process group
// in front and to the shell, and the shell passes it on to the jobs it has in the
// background; so one that comes from our own session when the terminal is gone
// counts as the terminal's, too.
func (t *Terminal) Sent(sig os.Signal) bool {
	number, ok := sig.(syscall.Signal)
	if !ok {
		return false
	}
	kernel, pid := last(number)
	if kernel || number != syscall.SIGHUP {
		return kernel
	}
	return t.there && !present() && ofOurSession(pid)
}

// ofOurSession reports whether a process belongs to our session; one that is not
// known, 0, counts as if it did. The leader is known by its number even when it is
// gone already.
func ofOurSession(pid int) bool {
	ours, err := unix.Getsid(0)
	if err != nil || pid == 0 || pid == ours {
		return true
	}
	its, err := unix.Getsid(pid)
	return err == nil && its == ours
}

// present reports whether this process has a controlling terminal.
func present() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		// ENXIO: there is none. Where the device itself cannot be opened nobody knows,
		// and nothing that comes is taken for the terminal's.
		return err != unix.ENXIO
	}
	unix.Close(fd)
	return true
}

// Is reports whether a descriptor is a terminal, any.
func Is(fd int) bool {
	_, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	return err == nil
}

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
