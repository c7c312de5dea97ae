//go:build linux

package accesslog

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watcher waits for many pipes at once. It is one descriptor of epoll(7), which can be
// waited for itself: so the goroutine that waits costs no thread, and has a deadline.
type watcher struct {
	file *os.File // on the runtime's poller
	conn syscall.RawConn
	fd   int
	fds  []int
	// got is what one look returns at most. What it returned comes last the next time.
	got [128]unix.EpollEvent
}

// newWatcher returns one that watches nothing.
func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what os asks for, to poll it
		unix.Close(fd)
		return nil, err
	}
	w := &watcher{file: os.NewFile(uintptr(fd), "access log"), fd: fd}
	if w.conn, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// wait returns pipes in which there is something, or an end, and none at the deadline.
// It is one goroutine's.
func (w *watcher) wait() []int {
	w.fds = w.fds[:0]
	_ = w.conn.Read(func(uintptr) bool { // it fails only at the deadline
		w.fds = w.look(w.fds)
		return len(w.fds) > 0
	})
	return w.fds
}

// setDeadline sets when to wake who waits; zero: never.
func (w *watcher) setDeadline(at time.Time) {
	// It can only fail where the poller does not know the descriptor, and it does.
	_ = w.file.SetReadDeadline(at)
}

func (w *watcher) close() { w.file.Close() }

// add has a pipe watched.
func (w *watcher) add(fd int) error {
	return unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// remove has a pipe no longer watched. One that was not is no error.
func (w *watcher) remove(fd int) { _ = unix.EpollCtl(w.fd, unix.EPOLL_CTL_DEL, fd, nil) }

// look appends the pipes in which there is something now.
func (w *watcher) look(fds []int) []int {
	n, err := 0, error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.EpollWait(w.fd, w.got[:], 0)
	}
	for i := range max(n, 0) {
		fds = append(fds, int(w.got[i].Fd))
	}
	return fds
}
