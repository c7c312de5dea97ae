//go:build !race && !msan && !asan

package worker

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A direct stream reads and writes its socket by system calls that the scheduler is
// not told of. Package net announces each of its own, in case it blocks, though those
// on a socket of the poller never do. That is cheap by itself. But where threads share
// a processor the kernel now and then preempts one in the middle of a call, which then
// looks blocked: the runtime's monitor takes its place among the running ones away,
// starts another thread in it, and goes on looking every 20 µs for more of the kind. Of
// short requests a tenth of the processor time is spent on that.
//
// A call of at most pieceSize bytes copies these and waits for nobody at the other end:
// while it lasts, which is microseconds unless the kernel has to find memory first, the
// scheduler cannot take the processor away. MSG_DONTWAIT keeps it from blocking even after somebody has made the socket blocking, as the Fd method of
// a copy does for all who share it. Waiting, deadlines and closing are left to package
// net, and errors are as it would give them.
//
// The race detector learns from package syscall that what was written happens before
// it is read, and the memory sanitizers that it was filled, so with these all is left to
// package net.
type direct struct {
	stream
	raw      syscall.RawConn
	in, out  transfer
	received func(fd uintptr) bool // in.receive
	sent     func(fd uintptr) bool // out.send
}

// A transfer is one read or one write.
type transfer struct {
	mu   sync.Mutex // held for a read or a write as long as it takes; guards what follows
	data []byte
	n    int   // of data, done
	err  error // of the socket
}

// newDirect returns the stream as a direct one, or itself if it has no socket.
func newDirect(s stream) stream {
	sc, ok := s.(syscall.Conn)
	if !ok {
		return s
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return s
	}
	d := &direct{stream: s, raw: raw}
	d.received, d.sent = d.in.receive, d.out.send
	return d
}

func (d *direct) Read(data []byte) (int, error) {
	if len(data) == 0 {
		return d.stream.Read(data) // package net says what that means
	}
	t := &d.in
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = data[:min(len(data), pieceSize)]
	return d.outcome(t, "read", d.raw.Read(d.received))
}

func (d *direct) Write(data []byte) (int, error) {
	if len(data) == 0 {
		return d.stream.Write(data)
	}
	t := &d.out
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = data
	return d.outcome(t, "write", d.raw.Write(d.sent))
}

// receive reads what there is. It returns false if that is nothing yet.
func (t *transfer) receive(fd uintptr) bool {
	n, errno := move(unix.SYS_RECVFROM, fd, t.data, unix.MSG_DONTWAIT)
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
		n, errno := move(unix.SYS_SENDTO, fd, rest[:min(len(rest), pieceSize)], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
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
func move(call, fd uintptr, data []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), flags, 0, 0)
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
func (d *direct) outcome(t *transfer, op string, waiting error) (int, error) {
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
		err = opError(op, d, err)
	}
	return n, err
}
