//go:build linux

package accesslog

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// MaxLine is the longest line in bytes, its newline included.
const MaxLine = protocol.MaxAccessLine

// closeTime is what a slow destination gets in Close.
const closeTime = time.Second

// Log is one access log. Its methods may be called from any goroutine, and none
// of them but Close waits for the destination.
type Log struct {
	copier  `state:",inline"`
	watcher *watcher      `state:"-"`
	stdout  int           `state:"-"` // what "-" means
	lost    atomic.Uint64 `state:"-"`
	done    chan struct{} `state:"-"` // closed at the end of the goroutine
	once    sync.Once     `state:"-"` // Close

	mu      sync.Mutex               `state:"-"`                   // guards what follows
	pipes   map[int]*pipe            `state:"pipes,list=read_end"` // by descriptor, which only the goroutine closes while there is one
	retired []*pipe                  `state:"-"`                   // those among them whose worker is gone
	alarm   time.Time                `state:"-"`                   // when the watcher wakes the goroutine; zero: never
	path    string                   `state:"path"`                // where lines go, or were last to go
	current *destination             `state:",inline"`             // nil: nowhere yet, and there is no goroutine
	next    *destination             `state:"-"`                   // takes the place of current after the write under way; nil: none
	writing bool                     `state:"-"`                   // the goroutine uses current
	closed  bool                     `state:"-"`
	turns   func(stream string) Turn `state:"-"` // see Share; nil: nobody else writes
	until   time.Time                `state:"-"` // when Close gives up; zero: not closing
	paused  chan struct{}            `state:"-"` // closed when the goroutine has ended for a pause; nil: none is asked for

	// While the state is written and read.
	waiting bool   `state:"waiting"` // current is nil
	total   uint64 `state:"lost"`    // what is in lost
}

// New makes a log of no workers. What they write waits in their pipes until
// [Log.Move] says where it is to go.
//
// While lines are lost, report is called with the reason, from another goroutine
// and at most once a minute for each kind of reason; nil: nobody wants to know.
func New(report func(error)) (*Log, error) { return create(unix.Stdout, report) }

func create(stdout int, report func(error)) (*Log, error) {
	l := new(Log)
	return l, l.begin(stdout, report)
}

// begin gives a log what it works with.
func (l *Log) begin(stdout int, report func(error)) (err error) {
	if l.watcher, err = newWatcher(); err != nil {
		return fmt.Errorf("cannot watch the pipes of the access log: %w", err)
	}
	l.stdout, l.report, l.done = stdout, report, make(chan struct{})
	if l.pipes == nil {
		l.pipes = map[int]*pipe{}
	}
	return nil
}

// Open makes the pipe of a worker, which is to write lines of a format, and returns
// the descriptor for it to inherit: non-blocking, and close-on-exec here. The caller
// closes it after the spawn. Not to be called after Close.
func (l *Log) Open(worker int, format string) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, w, err := makePipe(pipeSize(len(l.pipes)))
	if err == nil {
		if err = l.add(&pipe{fd: r, worker: worker, format: format}); err != nil {
			unix.Close(r)
			unix.Close(w)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("cannot make a pipe of the access log: %w", err)
	}
	return w, nil
}

// add has a pipe read. The caller holds mu.
func (l *Log) add(p *pipe) error {
	if err := l.watcher.add(p.fd); err != nil {
		return err
	}
	l.pipes[p.fd] = p
	return nil
}

// Retire says that a worker is gone. What it wrote before is passed on, and nothing
// that others write who have its pipe. One without a pipe is ignored.
func (l *Log) Retire(worker int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pipes {
		if p.worker != worker || p.retired {
			continue
		}
		if p.retired = true; l.current == nil {
			l.drop(p) // its lines were to go nowhere yet, and may never be
			return
		}
		l.retired = append(l.retired, p)
		l.wake()
		return
	}
}

// drop gives up a pipe with all that is in it. The caller holds mu.
func (l *Log) drop(p *pipe) {
	chunk := make([]byte, chunkSize)
	for n := 1; n > 0 && p.drained < maxPipe; {
		if n = p.read(chunk); n > 0 {
			l.lost.Add(countLines(chunk[:n]))
		}
	}
	l.forget(p)
}

// forget closes a pipe. The caller holds mu.
func (l *Log) forget(p *pipe) {
	delete(l.pipes, p.fd)
	l.watcher.remove(p.fd)
	unix.Close(p.fd)
}

// Share has the lines for "stdout" and "stderr" take turns with what others of this
// process write there.
func (l *Log) Share(turns func(stream string) Turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = turns
}

// Reopen opens the file anew, after somebody renamed it. On error the lines go
// where they went before. What has been read from the pipes by then may still go
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
	over, err := l.change(path, d, err)
	over.close()
	return err
}

// change has later lines go to the destination, unless there was an error, and returns
// the one that is not needed any more; nil: there is none.
func (l *Log) change(path string, d *destination, err error) (over *destination, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		if l.current == nil {
			l.path = path
		}
		return nil, err
	case l.closed:
		return d, os.ErrClosed
	case l.current == nil:
		l.current = d
		if l.paused == nil {
			go l.run()
		}
	case !l.writing:
		over, l.current = l.current, d
	default:
		over, l.next = l.next, d
	}
	l.path = path
	return over, nil
}

// destination opens what the path means.
func (l *Log) destination(path string) (*destination, error) {
	d, err := newDestination(path, l.stdout)
	if err != nil {
		return nil, fmt.Errorf("cannot open the access log: %w", err)
	}
	return d, nil
}

// Lost is the number of lines that were read from the pipes and not written: the
// destination did not take them, or they were not what their worker may say.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Close writes what is in the pipes, as far as the destination takes it within a
// second, and closes everything. A worker that still writes gets EPIPE.
func (l *Log) Close() {
	l.once.Do(func() {
		l.Resume()
		l.mu.Lock()
		l.until = time.Now().Add(closeTime)
		idle := l.current == nil
		l.closed = idle
		l.wake()
		l.mu.Unlock()
		if idle {
			l.finish()
			return
		}
		select {
		case <-l.done:
		case <-time.After(closeTime + busyWait):
			// A system call on the file does not return. There is no way to end it.
		}
	})
}

// wake has the goroutine look what it is asked for. The caller holds mu.
func (l *Log) wake() { l.ring(time.Unix(1, 0)) }

// ring has the goroutine woken at a time; zero: only by what comes. The caller
// holds mu.
func (l *Log) ring(at time.Time) {
	if at != l.alarm {
		l.alarm = at
		l.watcher.setDeadline(at)
	}
}

// finish closes everything.
func (l *Log) finish() {
	l.mu.Lock()
	for _, p := range l.pipes {
		l.forget(p)
	}
	l.watcher.close()
	over := l.current
	l.closed = true
	l.mu.Unlock()
	over.close()
	close(l.done)
}
