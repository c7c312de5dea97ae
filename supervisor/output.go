//go:build linux

package supervisor

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// Stream is one of the outputs of a worker, or both as one pipe.
type Stream = process.Stream

// The streams.
const (
	Stdout = process.Stdout
	Stderr = process.Stderr
	Both   = process.Both
)

// Streams are stdout and stderr of the master, to which the log and all workers
// write. Its methods may be called by any goroutine.
type Streams interface {
	// Worker returns what a stream of the worker with that id is written to, or of
	// what some worker left behind: 0. It may be a [process.Flusher]. Both is for a
	// worker that has one pipe as both, and goes where Stderr goes.
	Worker(id int, stream Stream) io.Writer
	// Joined reports that both go to the same place.
	Joined() bool
	// Turn is how lines of the access log take turns with all that; nil: there is
	// nothing else.
	Turn(Stream) func(atMost time.Duration) (before []byte, done func(wrote, whole bool), ok bool)
}

// NewOutput returns a writer for the master's stdout or stderr, for its own log and
// for what workers write: a reader that is gone is an error and does not end the
// process, and one that is slow is waited for.
func NewOutput(stderr *os.File) io.Writer { return process.NewOutput(stderr) }

// drainTime is what whoever reads the output of workers gets to take what is left
// of it when the master ends.
const drainTime = time.Second

// heldFor is how much later than it was written what a worker writes to stderr is seen
// before anything was ever ready: if the worker ends meanwhile, with what another
// has said already, it is not said again. What the first of one worker writes is
// seen at once.
const heldFor = time.Second

// output is the way of what a process writes through the master. What does not exist
// is nil.
type output struct {
	tail   *process.Tail         `state:"-"`    // its stderr, or all output; it remembers for both
	first  *process.TailSnapshot `state:"tail"` // of tail, while the state is written and read
	stdout *process.Tail         `state:"-"`    // nil: tail is that, too
	held   *process.Held         `state:"-"`    // before where tail goes, at the first start
}

// openOutput makes the pipes that the worker writes to.
func (w *worker) openOutput(s *Supervisor) error {
	return w.output.open(s, w.revision, w.ID, func(dst io.Writer) io.Writer {
		if s.fleet.EverReady() {
			return dst
		}
		atMost := heldFor
		if w.ID == 1 && s.fleet.Target() == 1 {
			atMost = 0
		}
		w.held = process.Hold(dst, atMost)
		return w.held
	})
}

// open makes the pipes that a process writes to, as the worker with that id. It never
// gets a descriptor of the master, with which it could empty the master's log or change
// how it is written to. before returns what stands before where stderr goes.
//
// Where both streams go to the same place, one pipe is both of them, as it is for a
// program behind 2>&1: what it writes stays in order. Lines that are to say which
// stream they come from need two.
func (o *output) open(s *Supervisor, r *revision.Revision, id int, before func(io.Writer) io.Writer) (err error) {
	stream := Stderr
	if s.options.Streams.Joined() && r.Config.Log.Workers != config.Wrapped {
		stream = Both
	}
	if o.tail, err = process.NewTail(stream, before(s.options.Streams.Worker(id, stream))); err != nil {
		return err
	}
	if stream != Both {
		if o.stdout, err = o.tail.Beside(Stdout, s.options.Streams.Worker(id, Stdout)); err != nil {
			return err
		}
	}
	for _, t := range o.tails() {
		if err := t.Own(r.Credential); err != nil {
			return err
		}
	}
	return nil
}

// fds are the descriptors of the process's stdout and stderr.
func (o *output) fds() (stdout, stderr int) {
	stdout, stderr = o.tail.WriteEnd(), o.tail.WriteEnd()
	if o.stdout != nil {
		stdout = o.stdout.WriteEnd()
	}
	return stdout, stderr
}

// closeWriteEnds closes the copies here of what the process writes to.
func (o *output) closeWriteEnds() {
	for _, t := range o.tails() {
		t.CloseWriteEnd()
	}
}

// tails are the pipes, as far as they exist.
func (o *output) tails() []*process.Tail {
	return slices.DeleteFunc([]*process.Tail{o.tail, o.stdout}, func(t *process.Tail) bool { return t == nil })
}

// unfold has all that a dead worker wrote be seen, unless it did not become ready
// and wrote what another such has written; then that is said in the line about its
// end.
func (s *Supervisor) unfold(w *worker, known fleet.Worker) (fields []zap.Field) {
	if w.tail == nil {
		return nil
	}
	s.roster.Await(w.tail.Settle)
	first := known.ReadyAt.IsZero() && !s.fleet.EverReady()
	var other []byte
	var wrote, lines int
	if first {
		other, wrote = s.books.Written(w.pid)
	}
	s.roster.Await(func(atMost time.Duration) (passed bool) {
		lines, passed = w.held.ReleaseExcept(other, atMost)
		return passed
	})
	switch {
	case lines > 0:
		count := "line"
		if lines > 1 {
			count = fmt.Sprintf("%d lines", lines)
		}
		return []zap.Field{zap.String("wrote", fmt.Sprintf("the same %s as worker %d", count, wrote))}
	case first:
		s.books.Wrote(w.ID, w.pid, w.held.Seen())
	}
	return nil
}

// turns is how the access log takes turns on a stream.
func (s *Supervisor) turns(stream string) accesslog.Turn {
	return s.options.Streams.Turn(Stream(stream))
}

// endOutput has what workers wrote last be passed on before the master ends.
func (s *Supervisor) endOutput() {
	s.files.EndAccess()
	limit := time.Now().Add(drainTime)
	tails := s.tails()
	for _, t := range tails {
		t.Settle(time.Until(limit))
	}
	timer := time.NewTimer(time.Until(limit))
	defer timer.Stop()
	for _, t := range tails {
		select {
		case <-t.Pause():
		case <-timer.C:
			return
		}
	}
}
