//go:build linux

package supervisor

import (
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
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

// unfold has all that a dead worker wrote be seen, unless it did not become ready
// and wrote what another such has written; then that is said in the line about its
// end.
func (s *Supervisor) unfold(w *roster.Worker, known fleet.Worker) (fields []zap.Field) {
	if len(w.Tails()) == 0 {
		return nil
	}
	s.roster.Await(w.PassedOn)
	first := known.ReadyAt.IsZero() && !s.fleet.EverReady()
	var other []byte
	var wrote, lines int
	if first {
		other, wrote = s.books.Written(w.PID)
	}
	s.roster.Await(func(atMost time.Duration) (passed bool) {
		lines, passed = w.Held().ReleaseExcept(other, atMost)
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
		s.books.Wrote(w.ID, w.PID, w.Held().Seen())
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
		t.Drain(time.Until(limit))
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
