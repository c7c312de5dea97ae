//go:build linux

package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// MaxLine is the longest line in bytes, its newline included. It is what Linux
// has for PIPE_BUF.
const MaxLine = 4096

const (
	// pipeSize is what the pipe is asked to hold: a few thousand lines, which is
	// what may come while a disk is busy for a moment.
	pipeSize = 1 << 20
	// chunkSize is how much is read at once.
	chunkSize = 64 << 10
	// closeTime is what a slow destination gets in Close.
	closeTime = time.Second
	// reportEvery keeps a lasting trouble from filling the log of the master.
	reportEvery = time.Minute
)

// Log is one access log. Its methods may be called from any goroutine, and none
// of them but Close waits for the destination.
type Log struct {
	pipe     *os.File // read end, on the runtime's poller
	writeEnd int
	stdout   int // what "-" means
	report   func(error)
	reported time.Time // belongs to the goroutine
	lost     atomic.Uint64
	done     chan struct{} // closed at the end of the goroutine
	once     sync.Once     // Close
	held     held          // what the goroutine begins with; its own

	mu      sync.Mutex   // guards what follows
	path    string       // where lines go, or were last to go
	current *destination // nil: nowhere yet, and there is no goroutine
	next    *destination // takes the place of current after the write under way; nil: none
	writing bool         // the goroutine uses current
	closed  bool
	until   time.Time     // when Close gives up; zero: not closing
	paused  chan struct{} // closed when the goroutine has ended for a pause; nil: none is asked for
}

// New makes the pipe. What workers write waits in it until [Log.Move] says where
// it is to go.
//
// While lines are lost, report is called with the reason, from another goroutine
// and at most once a minute; nil: nobody wants to know.
func New(report func(error)) (*Log, error) { return create(unix.Stdout, report) }

func create(stdout int, report func(error)) (*Log, error) {
	l := &Log{stdout: stdout, report: report, done: make(chan struct{})}
	r, w, err := pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make the pipe of the access log: %w", err)
	}
	l.pipe, l.writeEnd = os.NewFile(uintptr(r), "access log"), w
	return l, nil
}

// OpenWriteEnd returns a descriptor for one worker to inherit: non-blocking, and
// close-on-exec here. It has an open file description of its own, so that a
// worker that makes it blocking does so for nobody else. The caller closes it
// after the spawn. Not to be called after Close.
func (l *Log) OpenWriteEnd() (int, error) {
	fd, err := reopen(l.writeEnd)
	if err != nil {
		return -1, fmt.Errorf("cannot open the pipe of the access log: %w", err)
	}
	return fd, nil
}

// Reopen opens the file anew, after somebody renamed it. On error the lines go
// where they went before. What has been read from the pipe by then may still go
// to the old file; nothing is lost. There is nothing to do for a stream.
func (l *Log) Reopen() error {
	l.mu.Lock()
	path := l.path
	l.mu.Unlock()
	if path == "" || isStream(path) {
		return nil
	}
	return l.Move(path)
}

// Move has later lines go to another file, which may be a named pipe that
// somebody reads; "-" is stdout, and "/dev/stderr" the descriptor. A file that
// does not exist is made with mode 0640; a symbolic link is followed if root or
// the master's own user made it. On error lines go where they went before.
// Opening the file may take as long as its file system does.
func (l *Log) Move(path string) error {
	d, err := l.destination(path)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if l.current == nil {
			l.path = path
		}
		return err
	}
	switch {
	case l.closed:
		d.close()
		return os.ErrClosed
	case l.current == nil:
		l.current = d
		if l.paused == nil {
			go l.run()
		}
	case !l.writing:
		l.current.close()
		l.current = d
	default:
		if l.next != nil {
			l.next.close()
		}
		l.next = d
	}
	l.path = path
	return nil
}

// Lost is the number of lines that were read from the pipe and that the
// destination did not take.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Close writes what is in the pipe, as far as the destination takes it within a
// second, and closes everything. A worker that still writes gets EPIPE.
func (l *Log) Close() {
	l.once.Do(func() {
		l.Resume()
		l.mu.Lock()
		l.until = time.Now().Add(closeTime)
		idle := l.current == nil
		l.closed = idle
		l.mu.Unlock()
		if idle {
			l.finish()
			return
		}
		// It can only fail where the poller does not know the pipe, and it does.
		_ = l.pipe.SetReadDeadline(time.Unix(1, 0))
		select {
		case <-l.done:
		case <-time.After(closeTime + busyWait):
			// A system call on the file does not return. There is no way to end it.
		}
	})
}

// destination opens what the path means.
func (l *Log) destination(path string) (*destination, error) {
	d, err := newDestination(path, l.stdout)
	if err != nil {
		return nil, fmt.Errorf("cannot open the access log: %w", err)
	}
	return d, nil
}

// run is the goroutine.
func (l *Log) run() {
	// The rest of a chunk that is no whole line stands at its beginning the next
	// time; it is always shorter than MaxLine.
	chunk, lines := make([]byte, chunkSize), make([]byte, 0, chunkSize+MaxLine)
	left, rest := l.held.lines, copy(chunk, l.held.rest)
	take := func(n int) {
		var part []byte
		lines, part = cut(lines[:0], chunk[:rest+n])
		rest = copy(chunk, part)
		left = l.write(lines)
	}
	for next := goOn; next != end; {
		switch next = l.asked(left, chunk[:rest]); {
		case next == pause:
			return
		case next == end:
		case len(left) > 0:
			left = l.write(left)
		default:
			n, err := l.pipe.Read(chunk[rest:])
			if err == nil {
				take(n)
			} else if !errors.Is(err, os.ErrDeadlineExceeded) { // by which it is woken
				next = end
			}
		}
	}
	defer l.finish()
	l.write(left)
	// Not more than the pipe can hold: a worker may go on for ever.
	for total := 0; total < pipeSize; {
		n := l.readNow(chunk[rest:])
		if n <= 0 {
			break
		}
		total += n
		take(n)
	}
	if rest > 0 {
		l.write(append(chunk[:rest], '\n'))
	}
}

// readNow reads what is there; n is not positive if there is nothing.
func (l *Log) readNow(b []byte) (n int) {
	conn, err := l.pipe.SyscallConn()
	if err != nil {
		return 0
	}
	err = conn.Control(func(fd uintptr) {
		err := error(unix.EINTR)
		for err == unix.EINTR {
			n, err = unix.Read(int(fd), b)
		}
	})
	if err != nil {
		return 0
	}
	return n
}

// write passes whole lines on, and returns those that a pause leaves for later.
func (l *Log) write(lines []byte) (left []byte) {
	for len(lines) > 0 && !l.pausing() {
		d, wait := l.borrow()
		n, err := d.write(lines, wait)
		l.giveBack()
		lines = lines[n:]
		switch {
		case err == nil:
		case err != errBusy:
			l.lose(lines, err)
			return nil
		case l.overdue():
			l.lose(lines, errors.New("it takes nothing"))
			return nil
		}
	}
	return lines
}

// borrow returns where to write, which is the goroutine's own until giveBack,
// and for how long it may be waited for.
func (l *Log) borrow() (*destination, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = true
	if l.until.IsZero() {
		return l.current, busyWait
	}
	return l.current, max(min(time.Until(l.until), busyWait), 0)
}

func (l *Log) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = false
	if l.next != nil {
		l.current.close()
		l.current, l.next = l.next, nil
	}
}

// overdue reports whether Close has waited long enough.
func (l *Log) overdue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.until.IsZero() && !time.Now().Before(l.until)
}

// lose counts lines that are lost, and tells why.
func (l *Log) lose(lines []byte, why error) {
	l.lost.Add(uint64(bytes.Count(lines, []byte("\n"))))
	if now := time.Now(); l.report != nil && now.Sub(l.reported) >= reportEvery {
		l.reported = now
		l.report(fmt.Errorf("cannot write the access log: %w", why))
	}
}

// finish closes everything.
func (l *Log) finish() {
	l.pipe.Close()
	unix.Close(l.writeEnd)
	l.mu.Lock()
	if l.current != nil {
		l.current.close()
	}
	l.closed = true
	l.mu.Unlock()
	close(l.done)
}
