//go:build linux

package proxy

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// reports is where the program may report by sd_notify(3). What is its own to say goes on
// to the master; whether the worker is ready, stops or fails the front finds out itself.
type reports struct {
	socket *net.UnixConn
	master *net.UnixConn // as the master's NOTIFY_SOCKET
}

// maxReportDescriptors is how many descriptors may come with a report: one does, with a
// barrier. The kernel closes those for which there is no room.
const maxReportDescriptors = 4

// hearReports passes on what the program reports, to the address that is the master's. It
// returns the address for the program; "" if the master has none.
func hearReports(master string) (address string, err error) {
	if master == "" {
		return "", nil
	}
	var r reports
	if r.master, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: master, Net: "unixgram"}); err != nil {
		return "", fmt.Errorf("cannot reach the master's socket for reports: %w", err)
	}
	address = fmt.Sprintf("@gosuper-proxy-%d-%s", os.Getpid(), rand.Text())
	if r.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"}); err != nil {
		return "", fmt.Errorf("cannot make a socket for the program's reports: %w", err)
	}
	raw, err := r.socket.SyscallConn()
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		if err == nil {
			err = controlErr
		}
	}
	if err != nil {
		return "", fmt.Errorf("cannot tell who reports: %w", err)
	}
	go r.pass()
	return address, nil
}

// pass passes reports on for as long as the front lives. A program that floods it waits,
// as the front does, for a master that reads no faster than anybody needs to report.
func (r *reports) pass() {
	text := make([]byte, protocol.MaxNotify)
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*maxReportDescriptors))
	for {
		n, controls, flags, _, err := r.socket.ReadMsgUnix(text, control)
		if err != nil {
			return
		}
		sender, descriptors := senderOf(control[:controls])
		if flags&unix.MSG_TRUNC == 0 && inSession(sender) {
			if own := passed(text[:n]); len(own) > 0 {
				_, _ = r.master.Write(own) // which fails when the master is gone, and so is all of this
			}
		}
		for _, fd := range descriptors {
			unix.Close(fd) // who waits at a barrier goes on
		}
	}
}

// passed is what of a report is the program's to say.
func passed(report []byte) []byte {
	var lines [][]byte
	for line := range bytes.SplitSeq(bytes.TrimRight(report, "\x00"), []byte{'\n'}) {
		for _, key := range []string{protocol.NotifyStatus, protocol.NotifyExtendTimeout, protocol.NotifyRecycle} {
			if bytes.HasPrefix(line, []byte(key)) {
				lines = append(lines, line)
			}
		}
	}
	return bytes.Join(lines, []byte{'\n'})
}

// senderOf is the process that has sent what these control messages came with, 0 if that
// is not known, and the descriptors that it has sent along.
func senderOf(control []byte) (sender int, descriptors []int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, nil
	}
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			descriptors = append(descriptors, fds...)
		} else if who, err := unix.ParseUnixCredentials(&m); err == nil {
			sender = int(who.Pid)
		}
	}
	return sender, descriptors
}

// inSession reports whether a process is in the session of this worker, which nobody can
// enter: an abstract address is open to the whole network namespace.
func inSession(pid int) bool {
	session, err := unix.Getsid(pid)
	return pid > 0 && err == nil && session == os.Getpid()
}
