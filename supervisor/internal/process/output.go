//go:build linux

package process

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/terminal"
)

// output writes to a file without the two ways in which os.File makes stderr
// dangerous for a process that must outlive its readers.
type output struct {
	conn  syscall.RawConn
	file  *os.File
	write func(fd int, b []byte) (int, error)
}

// NewOutput returns a writer for the master's own stderr, or any file. Unlike
// f itself it reports a reader that is gone as EPIPE, where the os package
// ends the process by SIGPIPE if f is stdout or stderr; and it waits where f
// answers EAGAIN, because some other process that shares the open file, a
// terminal or a pipe, made it non-blocking. To a terminal it writes as
// [terminal.Write] does.
//
// One Write is one piece: the file's own lock keeps other writers of f in this
// process out until all of it is written.
func NewOutput(f *os.File) io.Writer {
	conn, err := f.SyscallConn()
	if err != nil { // f is nil or closed
		return f
	}
	o := &output{conn: conn, file: f, write: unix.Write}
	_ = conn.Control(func(fd uintptr) {
		if terminal.Is(int(fd)) {
			o.write = terminal.Write
		}
	})
	return o
}

func (o *output) Write(b []byte) (n int, err error) {
	connErr := o.conn.Write(func(fd uintptr) bool {
		n, err = o.writeAll(int(fd), b)
		return true
	})
	if err == nil {
		err = connErr
	}
	if err != nil {
		return n, &os.PathError{Op: "write", Path: o.file.Name(), Err: err}
	}
	return n, nil
}

func (o *output) writeAll(fd int, b []byte) (written int, err error) {
	for written < len(b) {
		n, err := o.write(fd, b[written:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			waitWritable(fd)
		case err != nil:
			return written, err
		default:
			written += n
		}
	}
	return written, nil
}

// waitWritable blocks its thread, as a blocking write would. The runtime's
// poller cannot help: f may have become non-blocking only after it was opened.
func waitWritable(fd int) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	// The next write finds out whatever Poll has to report.
	_, _ = unix.Poll(fds, -1)
}
