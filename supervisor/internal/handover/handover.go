//go:build linux

package handover

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/sealed"
)

// Write writes a state, the text of which is JSON, into memory that nobody can change, and returns its
// descriptor, which is close-on-exec.
func Write(master []byte, descriptors []int) (fd int, err error) {
	text, err := encode(master, descriptors)
	if err != nil {
		return -1, err
	}
	if fd, err = sealed.New("gosuper-state", text); err != nil {
		return -1, fmt.Errorf("cannot write the state: %w", err)
	}
	return fd, nil
}

// Read reads the state that a master with the pid has left at the descriptor,
// which stays open.
func Read(fd, pid int) (*State, error) {
	// Whoever sets the variable by hand learns that it is no setting.
	if !sealed.Is(fd) {
		return nil, fmt.Errorf("cannot read the state: descriptor %d is not sealed memory", fd)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("cannot read the state: %w", err)
	}
	text := make([]byte, stat.Size)
	if n, err := unix.Pread(fd, text, 0); err != nil || n != len(text) {
		return nil, fmt.Errorf("cannot read the state: %d of %d bytes: %w", n, len(text), err)
	}
	return decode(text, pid)
}

// ignored and blocked are what happens to signals over the exec.
var (
	ignored = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGTTIN, syscall.SIGTTOU}
	blocked = []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2}
)

// Path is the path of a descriptor, by which it can be executed even if it is that
// of a script.
func Path(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// Exec replaces this image by that of the program, a descriptor: what was looked at
// is what is executed. The new image inherits it as one of the descriptors. Exec returns only if that
// fails, and then nothing has changed but for the soft RLIMIT_NOFILE, which is
// the one that the process was started with, and for [ignored] signals, which
// signal.Notify brings back. The caller is on the main thread, and no other
// goroutine holds what must not be lost. Just before, taken is asked for the
// signals that were delivered and not handled.
func Exec(program int, argv, environ []string, state int, descriptors []int, taken func() []syscall.Signal) error {
	all := append(slices.Clone(descriptors), state)
	defer closeOnExec(all, true)
	if err := closeOnExec(all, false); err != nil {
		return err
	}
	var set, old unix.Sigset_t
	for _, s := range blocked {
		set.Val[0] |= 1 << (s - 1)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return fmt.Errorf("cannot block signals: %w", err)
	}
	signal.Ignore(ignored...)
	// First, where package shim looks for it.
	environ = append([]string{Variable + "=" + letter(state, taken())}, environ...)
	err := syscall.Exec(Path(program), argv, environ)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	return fmt.Errorf("cannot execute it: %w", err)
}

// closeOnExec sets or clears FD_CLOEXEC.
func closeOnExec(fds []int, on bool) error {
	flag := 0
	if on {
		flag = unix.FD_CLOEXEC
	}
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag); err != nil {
			return fmt.Errorf("cannot keep descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// Adopt takes the descriptors over: all are close-on-exec again, and those that
// are not wanted are closed. The process, which the kernel has named after the
// descriptor of its program, has the name of its file again. The caller is on the
// main thread.
func (s *State) Adopt(wanted []int) error {
	if exe, err := os.Executable(); err == nil {
		if name, err := unix.ByteSliceFromString(filepath.Base(exe)); err == nil {
			_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
		}
	}
	for _, fd := range s.Descriptors {
		if !slices.Contains(wanted, fd) {
			unix.Close(fd)
		}
	}
	return closeOnExec(wanted, true)
}
