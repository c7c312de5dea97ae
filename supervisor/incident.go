//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// routine are the reasons for which workers are retired when nothing is wrong with
// them. All others are faults, and whatever a worker itself gives as one.
var routine = []fleet.Reason{
	"", fleet.ReasonLifetime, fleet.ReasonReload, fleet.ReasonRollback, fleet.ReasonScale, fleet.ReasonRecycle,
	fleet.ReasonLeft, fleet.ReasonSurplus, fleet.ReasonStop, fleet.ReasonRequests,
}

// enter makes an incident of the end of a worker if it is one: nobody had asked for
// it, something was wrong with the worker, or it had to be killed.
func (s *Supervisor) enter(w *worker, a fleet.Bury, lost *uint64) {
	reason := a.Reason
	if a.Verdict == fleet.Retired {
		if reason = a.Worker.Why; slices.Contains(routine, reason) && !a.Worker.Killed() {
			return
		}
	}
	s.incidents.Add(books.Incident{
		Worker: w.ID, Slot: w.Slot, PID: w.pid, Generation: w.Generation, At: time.Now().UTC().Round(0),
		Reason: string(reason), Status: w.ending(a.Worker), Age: w.age(), Lost: lost, Lines: w.lastWords(),
	})
}

// Incidents returns the last ends of workers that nobody asked for, or that had to
// be forced. Any goroutine but that of Run may call it.
func (s *Supervisor) Incidents(ctx context.Context) (control.Incidents, error) {
	found := control.Incidents{Incidents: []control.Incident{}}
	err := s.ask(ctx, func() {
		now := time.Now()
		for _, i := range slices.Backward(s.incidents.All) {
			if i.At.IsZero() {
				continue // of a version that kept no more than its last lines
			}
			found.Incidents = append(found.Incidents, control.Incident{
				Worker: i.Worker, Slot: i.Slot, PID: i.PID, Generation: i.Generation,
				At: i.At.Format(time.RFC3339Nano), AgoSeconds: seconds(now.Sub(i.At)), Reason: i.Reason, Status: i.Status,
				AgeSeconds: seconds(i.Age), RequestsLost: i.Lost, LastLines: linesOf(i),
			})
		}
	})
	return found, err
}

// crashLoop says more about the workers that end again and again; nil: there are
// none.
func (s *Supervisor) crashLoop(sum fleet.Summary, now time.Time) *control.CrashLoop {
	if len(sum.Looping) == 0 {
		return nil
	}
	c := &control.CrashLoop{Slots: sum.Looping, Crashes: sum.Crashes, LastLines: []string{}}
	if !sum.Next.IsZero() {
		c.NextSeconds = seconds(sum.Next.Sub(now))
	}
	if last, found := s.incidents.Last(func(i books.Incident) bool { return slices.Contains(sum.Looping, i.Slot) }); found {
		c.Worker, c.Status, c.LastLines = last.Worker, last.Status, linesOf(last)
	}
	return c
}

// linesOf are the last lines of an incident, which are never null.
func linesOf(i books.Incident) []string { return append([]string{}, i.Lines...) }

// lastLines is how many of a worker's last lines explain its death.
const lastLines = 20

// epitaph is how a worker ended and the last lines it wrote.
type epitaph struct {
	status string
	lines  []string
	hint   string // at what kept it from being started; "": it was, or nothing is known
}

// unstarted is why a worker could not be started last, and what to do about it.
type unstarted struct{ why, hint string }

// of is the epitaph of a worker in words, for people.
func (e epitaph) of(id int) string {
	text := fmt.Sprintf("worker %d: %s", id, e.status)
	if e.hint != "" {
		return text + " (" + e.hint + ")"
	}
	if len(e.lines) == 0 {
		return text + "; it wrote nothing"
	}
	return text + "; its last lines:\n  " + strings.Join(e.lines, "\n  ")
}

// epitaph is what is known of the end of a worker, dead or as good as dead.
func (s *Supervisor) epitaph(id int) epitaph {
	var e epitaph
	if w := s.workers[id]; w != nil {
		known, _ := s.fleet.Worker(id)
		e.status, e.lines = w.ending(known), w.lastWords()
	} else {
		i, _ := s.incidents.Of(id)
		e.status, e.lines = i.Status, i.Lines
	}
	if e.status == s.unstarted.why {
		e.hint = s.unstarted.hint
	}
	return e
}
