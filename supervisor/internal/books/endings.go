//go:build linux

package books

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
)

// Enter enters an incident.
func (b *Books) Enter(one incidents.Incident) { b.incidents.Enter(one) }

// Incidents are those of which more is known than the last lines, newest first.
func (b *Books) Incidents(now time.Time) control.Incidents { return b.incidents.Answer(now) }

// IncidentCounts are how many incidents there were, by reason.
func (b *Books) IncidentCounts() map[string]uint64 { return b.incidents.Counts() }

// CrashLoop says more about the workers that end again and again; nil: there are
// none.
func (b *Books) CrashLoop(sum fleet.Summary, now time.Time) *control.CrashLoop {
	if len(sum.Looping) == 0 {
		return nil
	}
	c := &control.CrashLoop{Slots: sum.Looping, Crashes: sum.Crashes, LastLines: []string{}}
	if !sum.Next.IsZero() {
		c.NextSeconds = control.Seconds(sum.Next.Sub(now))
	}
	if last, found := b.incidents.Last(func(i incidents.Incident) bool { return i.Worker != 0 && slices.Contains(sum.Looping, i.Slot) }); found {
		c.Worker, c.Status, c.LastLines = last.Worker, last.Status, append([]string{}, last.Lines...)
	}
	return c
}

// LoaderFailing says more about loaders that fail while workers wait for one, of which
// the last ended so; nil: they do not.
func LoaderFailing(sum fleet.Summary, now time.Time, last Ending) *control.LoaderFailing {
	if sum.Loads == 0 {
		return nil
	}
	l := &control.LoaderFailing{Failures: sum.Loads, Status: last.Status, Hint: last.Hint, LastLines: append([]string{}, last.Lines...)}
	if !sum.NextLoad.IsZero() {
		l.NextSeconds = control.Seconds(sum.NextLoad.Sub(now))
	}
	if l.Hint == "" {
		l.Hint = "no worker can be started meanwhile, and those that there are go on: mend the application, then gosuper reload"
	}
	return l
}

// Ending is how a worker ended and the last lines it wrote. The zero value says that
// nothing is known.
type Ending struct {
	Status string
	Lines  []string
	Hint   string // at what kept it from being started; "": it was, or nothing is known
}

// failed is why a worker could not be started last, and what to do about it.
type failed struct{ why, hint string }

// NotStarted enters why a worker could not be started, and what to do about it.
func (b *Books) NotStarted(why, hint string) { b.failed = failed{why, hint} }

// EndingOf is what the incidents know of the end of a worker.
func (b *Books) EndingOf(worker int) Ending {
	i, _ := b.incidents.Last(func(one incidents.Incident) bool { return worker != 0 && one.Worker == worker })
	return b.Explain(i.Status, i.Lines)
}

// Explain is an ending with the hint, if that is why a worker could not be started.
func (b *Books) Explain(status string, lines []string) Ending {
	e := Ending{Status: status, Lines: lines}
	if status == b.failed.why {
		e.Hint = b.failed.hint
	}
	return e
}

// Of is the ending of a worker in words, for people; that of a loader for 0.
func (e Ending) Of(worker int) string {
	text := fmt.Sprintf("worker %d: %s", worker, e.Status)
	if worker == 0 {
		text = "loader: " + e.Status
	}
	if e.Hint != "" {
		return text + " (" + e.Hint + ")"
	}
	if len(e.Lines) == 0 {
		return text + "; it wrote nothing"
	}
	return text + "; its last lines:\n  " + strings.Join(e.Lines, "\n  ")
}
