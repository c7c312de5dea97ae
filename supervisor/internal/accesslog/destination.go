//go:build linux

package accesslog

import (
	"bytes"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/files"
	"github.com/gosuper/gosuper/supervisor/internal/terminal"
)

// busyWait is how long a destination that takes nothing is waited for before it
// is looked at whether there is another one by now.
const busyWait = 100 * time.Millisecond

// errBusy says that the destination takes nothing at the moment.
var errBusy = errors.New("busy")

// destination is where lines go.
type destination struct {
	fd   int    `state:"-"`
	own  int    `state:"destination,fd"` // fd, if it is ours to close; -1: it is stdout or stderr
	name string `state:"-"`
	// regular files never make a writer wait for a reader, and take any number of
	// bytes in one piece.
	regular bool `state:"-"`
	// a terminal must be written to so that it does not stop the master.
	terminal bool `state:"-"`
	turn     Turn `state:"-"`       // with others of this process that write to it; nil: there are none
	partial  int  `state:"partial"` // how much of the next line is written already
	torn     bool `state:"torn"`    // a line was given up after a part of it was written
}

// Turn waits, for so long at most, until nobody else of this process writes to a
// stream, and keeps it so until done is called; not ok: it takes longer. before is
// what is to be written before a line for it to begin one, and done is told whether
// anything was written, and whether that ended with a line.
type Turn func(atMost time.Duration) (before []byte, done func(wrote, whole bool), ok bool)

// stderr is the path of the descriptor, whatever is behind it.
const stderr = "/dev/stderr"

// isStream says whether the path is a stream that the process was started with.
func isStream(path string) bool { return path == "-" || path == stderr }

// newDestination opens the path; "-" is stdout.
func newDestination(path string, stdout int) (*destination, error) {
	d := streamDestination(path, stdout)
	if !isStream(path) {
		fd, err := files.OpenLog(path)
		if err != nil {
			return nil, err
		}
		d = &destination{fd: fd, own: fd, name: path}
	}
	if err := d.look(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// streamDestination is that of a stream.
func streamDestination(path string, stdout int) *destination {
	if path == stderr {
		return &destination{fd: unix.Stderr, own: -1, name: "stderr"}
	}
	return &destination{fd: stdout, own: -1, name: "stdout"}
}

// look finds out what kind of file it is.
func (d *destination) look() error {
	var stat unix.Stat_t
	if err := unix.Fstat(d.fd, &stat); err != nil {
		return &os.PathError{Op: "stat", Path: d.name, Err: err}
	}
	d.regular = stat.Mode&unix.S_IFMT == unix.S_IFREG
	d.terminal = !d.regular && terminal.Is(d.fd)
	return nil
}

// Check says whether lines could be appended to a file, as far as that can be
// told without opening it: it is not made, and whoever reads a named pipe does
// not notice.
func Check(path string) error {
	if isStream(path) {
		return nil
	}
	return files.CheckLog(path)
}

// write writes as many of the lines as it can at once and returns their length:
// there may be more to write without an error. It waits for room for so long,
// which a file never needs, and returns errBusy if there is none by then. A line
// that was written in part does not count yet: the rest of it is written by the
// next call, which has to begin with the same line unless this one failed.
func (d *destination) write(lines []byte, wait time.Duration) (int, error) {
	if !d.regular {
		// With room for a page, which is what POLLOUT says of a pipe, this much is
		// written at once, and whole.
		lines = upTo(lines, MaxLine)
		if !d.room(wait) {
			return 0, errBusy
		}
	}
	if d.turn != nil {
		before, done, ok := d.turn(wait)
		if !ok {
			return 0, errBusy
		}
		var wrote bool
		defer func() { done(wrote, d.partial == 0 && !d.torn) }()
		if len(before) > 0 && d.partial == 0 {
			if _, err := d.writeOnce(before); err != nil {
				return 0, err
			}
		}
		wrote = true
	}
	if d.torn {
		if _, err := d.writeOnce([]byte("\n")); err != nil {
			return 0, err
		}
		d.torn = false
	}
	n, err := d.writeOnce(lines[d.partial:])
	if err != nil && err != errBusy {
		d.torn, d.partial = d.partial > 0, 0
		return 0, err
	}
	n += d.partial
	whole := bytes.LastIndexByte(lines[:n], '\n') + 1
	d.partial = n - whole
	return whole, err
}

// writeOnce is write(2), whose every outcome but success has an error.
func (d *destination) writeOnce(b []byte) (int, error) {
	write := unix.Write
	if d.terminal {
		write = terminal.Write
	}
	for {
		n, err := write(d.fd, b)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, errBusy
		case err != nil:
			return 0, &os.PathError{Op: "write", Path: d.name, Err: err}
		default:
			return n, nil
		}
	}
}

// room waits until there is room, or for so long, and reports which it was.
func (d *destination) room(wait time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, int(wait.Milliseconds()))
	// What is wrong with it, the write will tell.
	return n > 0 || err != nil && err != unix.EINTR
}

func (d *destination) close() {
	if d != nil && d.own >= 0 {
		unix.Close(d.fd)
	}
}

// upTo returns as many whole lines as have at most so many bytes, which is one at
// least.
func upTo(lines []byte, most int) []byte {
	if len(lines) <= most {
		return lines
	}
	return lines[:bytes.LastIndexByte(lines[:most], '\n')+1]
}
