package notify

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

var controlSize = unix.CmsgSpace(4 * maxDescriptors)

// newPair makes the connected pair; near is the master's end. There is no SOCK_SEQPACKET for unix sockets, and
// datagrams keep the boundaries of messages as well.
func newPair() (near, far int, err error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, -1, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return -1, -1, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return fds[0], fds[1], nil
}

// newDatagram: there are no abstract addresses.
func newDatagram() (fd int, address string, err error) {
	return -1, "", errors.ErrUnsupported
}

// read receives one report into text, with control for what comes beside it. The error is EAGAIN when there is none.
func read(fd int, text, control []byte) (report, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock() // no MSG_CMSG_CLOEXEC
	n, oobn, flags, _, err := unix.Recvmsg(fd, text, control, 0)
	if err != nil {
		return report{}, err
	}
	r := report{end: n == 0}
	if flags&unix.MSG_TRUNC == 0 {
		r.text = text[:n]
	}
	messages, err := unix.ParseSocketControlMessage(control[:oobn])
	if err != nil {
		return report{}, fmt.Errorf("cannot read the control messages: %w", err)
	}
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			r.descriptors = append(r.descriptors, fds...)
		}
	}
	for _, fd := range r.descriptors {
		unix.CloseOnExec(fd)
	}
	return r, nil
}

// belongs: without an address nobody but the worker can send.
func belongs(sender, worker int) bool { return true }

// newSender makes a socket to send datagrams from.
func newSender() (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, err
}
