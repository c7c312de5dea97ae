//go:build !race && !msan && !asan

package direct

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// small is the size in bytes up to which a call is not announced: copying as much
	// takes a few microseconds.
	small = 16 << 10
	// piece is what is moved by one call at most.
	piece = 64 << 10
)

// A stream is what New returns. MSG_DONTWAIT keeps its calls from blocking even after
// somebody has made the socket blocking, as the Fd method of a copy does for all who
// share it.
type stream struct {
	Stream
	raw      syscall.RawConn
	in, out  transfer
	received func(fd uintptr) bool // in.receive
	sent     func(fd uintptr) bool // out.send
}

// A transfer is one read or one write.
type transfer struct {
	mu        sync.Mutex // held for a read or a write as long as it takes; guards what follows
	announced bool
	data      []byte
	n         int   // of data, done
	err       error // of the socket
}

func wrap(s Stream) Stream {
	sc, ok := s.(syscall.Conn)
	if !ok {
		return s
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return s
	}
	d := &stream{Stream: s, raw: raw}
	d.received, d.sent = d.in.receive, d.out.send
	return d
}

func (d *stream) Read(data []byte) (int, error) {
	if len(data) == 0 {
		return d.Stream.Read(data) // package net says what that means
	}
	t := &d.in
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = data[:min(len(data), piece)]
	t.announced = len(t.data) > small
	return d.outcome(t, "read", d.raw.Read(d.received))
}

func (d *stream) Write(data []byte) (int, error) {
	if len(data) == 0 {
		return d.Stream.Write(data)
	}
	t := &d.out
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = data
	t.announced = len(data) > small
	return d.outcome(t, "write", d.raw.Write(d.sent))
}

// receive reads what there is. It returns false if that is nothing yet.
func (t *transfer) receive(fd uintptr) bool {
	n, errno := t.move(unix.SYS_RECVFROM, fd, t.data, unix.MSG_DONTWAIT)
	switch {
	case errno == unix.EAGAIN:
		return false
	case errno != 0:
		t.err = os.NewSyscallError("read", errno)
	case n == 0:
		t.err = io.EOF
	}
	t.n = n
	return true
}

// send writes as much as there is room for. It returns false if that is not all.
func (t *transfer) send(fd uintptr) bool {
	for t.n < len(t.data) {
		rest := t.data[t.n:]
		n, errno := t.move(unix.SYS_SENDTO, fd, rest[:min(len(rest), piece)], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if errno == unix.EAGAIN {
			return false
		}
		if errno != 0 {
			t.err = os.NewSyscallError("write", errno)
			return true
		}
		t.n += n
	}
	return true
}

// move is recvfrom(2) or sendto(2) on a connected socket, with at least one byte.
func (t *transfer) move(call, fd uintptr, data []byte, flags uintptr) (int, syscall.Errno) {
	for {
		var n uintptr
		var errno syscall.Errno
		if t.announced {
			n, _, errno = unix.Syscall6(call, fd, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), flags, 0, 0)
		} else {
			n, _, errno = unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), flags, 0, 0)
		}
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// outcome returns what became of a transfer, as package net would, given the error of
// waiting for the socket.
func (d *stream) outcome(t *transfer, op string, waiting error) (int, error) {
	n, err := t.n, t.err
	t.data, t.n, t.err = nil, 0, nil
	if failed, ok := waiting.(*net.OpError); ok {
		failed.Op = op // it is made anew for each call
		return n, failed
	}
	if waiting != nil {
		return n, waiting
	}
	if err != nil && err != io.EOF {
		err = &net.OpError{Op: op, Net: d.LocalAddr().Network(), Source: d.LocalAddr(), Addr: d.RemoteAddr(), Err: err}
	}
	return n, err
}
