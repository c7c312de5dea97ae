package process

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// output writes to a file without the two ways in which os.File makes stderr
// dangerous for a process that must outlive its readers.
type output struct {
	conn syscall.RawConn
	file *os.File
}

// NewOutput returns a writer for the master's own stderr, or any file. Unlike
// f itself it reports a reader that is gone as EPIPE, where the os package
// ends the process by SIGPIPE if f is stdout or stderr; and it waits where f
// answers EAGAIN, because some other process that shares the open file, a
// terminal or a pipe, made it non-blocking.
//
// One Write is one piece: the file's own lock keeps other writers of f in this
// process out until all of it is written.
func NewOutput(f *os.File) io.Writer {
	conn, err := f.SyscallConn()
	if err != nil { // f is nil or closed
		return f
	}
	return &output{conn: conn, file: f}
}

func (o *output) Write(b []byte) (n int, err error) {
	connErr := o.conn.Write(func(fd uintptr) bool {
		n, err = writeAll(int(fd), b)
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

func writeAll(fd int, b []byte) (written int, err error) {
	for written < len(b) {
		n, err := unix.Write(fd, b[written:])
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
