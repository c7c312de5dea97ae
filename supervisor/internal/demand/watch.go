//go:build linux

package demand

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// watch waits for connections on sockets of which nobody may accept any. The kernel says
// once that one has come, and no more until it is armed again: whoever is still booting
// keeps nobody busy.
type watch struct {
	arrived func() // called by another goroutine
	armed   bool

	fd   int // of epoll; 0: there is none yet
	fds  []int
	once sync.Once
}

// arm has arrived be called when a connection waits on one of the sockets, or if one does
// already. While it is armed for the same sockets that changes nothing.
func (w *watch) arm(fds []int) (err error) {
	if w.armed && slices.Equal(w.fds, fds) {
		return nil
	}
	if w.fd == 0 {
		if w.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			w.fd = 0
			return err
		}
	}
	for _, fd := range w.fds {
		_ = unix.EpollCtl(w.fd, unix.EPOLL_CTL_DEL, fd, nil) // it may be closed, or be another socket by now
	}
	w.fds = slices.Clone(fds)
	for _, fd := range fds {
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(fd)}
		if err := unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
			return err
		}
	}
	w.armed = true
	w.once.Do(func() { go wait(w.fd, w.arrived) })
	return nil
}

// wait reports arrivals as long as the process lives.
func wait(fd int, arrived func()) {
	events := make([]unix.EpollEvent, 8)
	for {
		n, err := unix.EpollWait(fd, events, -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return
		case n > 0:
			arrived()
		}
	}
}
