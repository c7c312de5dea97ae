//go:build linux

package notify

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxAncestors bounds the walk from a sender up to the worker.
const maxAncestors = 32

var controlSize = unix.CmsgSpace(unix.SizeofUcred) + unix.CmsgSpace(4*maxDescriptors)

// NewPair makes a connected pair of SOCK_SEQPACKET. near is the master's end, which does not block and says who sends.
func NewPair() (near, far int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err
	}
	if err := prepare(fds[0]); err != nil {
		return -1, -1, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return fds[0], fds[1], nil
}

// prepare makes a socket say who sends, and non-blocking. The pair needs credentials too: only a message has them,
// which tells an empty one from the end of file.
func prepare(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("cannot set SO_PASSCRED: %w", err)
	}
	return unix.SetNonblock(fd, true)
}

// newDatagram makes the socket for NOTIFY_SOCKET.
func newDatagram() (fd int, address string, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, "", err
	}
	if err := prepare(fd); err != nil {
		return -1, "", errors.Join(err, unix.Close(fd))
	}
	address = fmt.Sprintf("@gosuper-%d-%s", os.Getpid(), rand.Text())
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		return -1, "", errors.Join(err, unix.Close(fd))
	}
	return fd, address, nil
}

// read receives one report into text, with control for what comes beside it. The error is EAGAIN when there is none.
func read(fd int, text, control []byte) (Report, error) {
	n, oobn, flags, _, err := unix.Recvmsg(fd, text, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return Report{}, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:oobn])
	if err != nil {
		return Report{}, fmt.Errorf("cannot read the control messages: %w", err)
	}
	r := Report{end: n == 0 && len(messages) == 0}
	if flags&unix.MSG_TRUNC == 0 {
		r.Text = text[:n]
	}
	for _, m := range messages {
		switch {
		case m.Header.Level != unix.SOL_SOCKET:
		case m.Header.Type == unix.SCM_RIGHTS:
			if fds, err := unix.ParseUnixRights(&m); err == nil {
				r.descriptors = append(r.descriptors, fds...)
			}
		case m.Header.Type == unix.SCM_CREDENTIALS:
			if who, err := unix.ParseUnixCredentials(&m); err == nil {
				r.Sender = int(who.Pid)
			}
		}
	}
	return r, nil
}

// anybody is believed who has an inherited descriptor.
func anybody(int) bool { return true }

// familyOf are those who are believed on a socket that anybody can find.
func familyOf(worker int) func(sender int) bool {
	return func(sender int) bool { return belongs(sender, worker) }
}

// remainsOf are those of them who are left when the worker is gone. Nobody descends from it any more: whoever did has
// another parent.
func remainsOf(worker int) func(sender int) bool {
	return func(sender int) bool {
		is, _ := related(sender, worker)
		return is
	}
}

// belongs reports whether sender is the worker, in its session, or descends from it. A session is what nobody can
// enter from another; a process group can be joined by all of its session, which is the worker's own, unless an older
// version of the master has started the worker. A sender that has exited already, and is not the worker, does not
// belong: nothing can be known about it any more.
func belongs(sender, worker int) bool {
	is, alive := related(sender, worker)
	if is || !alive {
		return is
	}
	for range maxAncestors {
		sender = parent(sender)
		if sender == worker {
			return true
		}
		if sender <= 1 || sender == os.Getpid() {
			return false
		}
	}
	return false
}

// related reports whether sender is the worker or in its session, which is known of those alive.
func related(sender, worker int) (is, alive bool) {
	if sender <= 0 { // from outside our pid namespace
		return false, false
	}
	if sender == worker {
		return true, true
	}
	session, err := unix.Getsid(sender)
	if err != nil || session == worker {
		return err == nil, err == nil
	}
	group, err := unix.Getpgid(sender)
	return err == nil && group == worker, err == nil
}

// parent is the parent of a process, 0 if there is none or it cannot be known; see proc(5), /proc/pid/stat.
func parent(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name in parentheses may contain anything; after the last one come the state and the parent.
	_, rest, ok := cutLast(stat, ')')
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return ppid
}

func cutLast(b []byte, sep byte) (before, after []byte, found bool) {
	if i := bytes.LastIndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}
