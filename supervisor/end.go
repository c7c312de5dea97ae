//go:build linux

package supervisor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/standstill"
)

// drainTime is what whoever reads the output of workers gets to take what is left
// of it when the master ends.
const drainTime = time.Second

// end closes what the master holds and says how it ended.
func (s *Supervisor) end() error {
	defer s.log.Finish()
	s.report.Inform(time.Now())
	counted := make(chan struct{})
	s.limits.Scales.Counted(func() { close(counted) })
	s.loop.Await(counted, endpoints.AnswerTime) // which the end of a worker is explained by
	s.loop.Finish(endpoints.AnswerTime)
	s.development.Close()
	s.loop.Await(s.leftovers.Killed(), leftovers.EndTime) // whoever dies by itself must not leave others behind
	undying := s.nameUndying()
	s.leftovers.End(func() []process.Orphan {
		_, orphans, _ := s.hands.reap(s.knows, s.roster.PIDs()) // an error would have been told before
		return orphans
	}, s.signals.C)
	s.sockets.End(s.revisions.Sockets())
	s.endpoints.CloseControl()
	for n, r := range s.revisions.All {
		delete(s.revisions.All, n)
		s.endpoints.CloseAdmin(r.Admin, s.revisions.Admins()...)
	}
	s.sockets.EndPaths(endpoints.AnswerTime)
	s.files.ClosePID(endpoints.AnswerTime)
	s.files.EndAccess()
	drain(standstill.Tails(s.roster, &s.births.Loaders))
	if culprit, e, gaveUp := s.report.GaveUp(); gaveUp {
		if culprit != 0 {
			s.log.Error("gave up: the first workers could not boot", zap.Int("worker", culprit), zap.String("status", e.Status))
		} else {
			s.log.Error("gave up: the loader could not load the application", zap.String("status", e.Status))
		}
		return &BootError{Worker: culprit, Status: e.Status, Lines: e.Lines, Hint: e.Hint}
	}
	var served []zap.Field // else nobody knows
	if c := s.books.Counters(0); c.Requests != nil {
		served = []zap.Field{zap.Uint64("requests", *c.Requests), zap.Uint64("timeouts", *c.Timeouts), zap.Uint64("requests_lost", *c.RequestsLost)}
	}
	if undying != nil {
		s.log.Error("stopped, but not all workers are gone", append(served, zap.Error(undying.Err))...)
		return undying
	}
	s.log.Info("stopped", served...)
	return nil
}

// nameUndying says which workers SIGKILL has not ended in time; nil: there are none.
func (s *Supervisor) nameUndying() *Error {
	var pids []string
	for _, id := range s.roster.IDs() {
		w := s.roster.Of(id)
		fields, held := w.Fields(), w.Held()
		s.log.Behind(func(atMost time.Duration) ([]zap.Field, bool) { return fields, held.Release(atMost) }, zapcore.ErrorLevel, "worker does not die")
		pids = append(pids, strconv.Itoa(w.PID))
	}
	if len(pids) == 0 {
		return nil
	}
	return &Error{
		Err:  fmt.Errorf("workers do not die of SIGKILL: process %s", strings.Join(pids, ", ")),
		Hint: "they run as a user whom gosuper may not signal, or wait in the kernel for a file system or device that does not answer",
	}
}

// drain has what workers wrote last be passed on before the master ends.
func drain(tails []*process.Tail) {
	limit := time.Now().Add(drainTime)
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
