//go:build linux

package books

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// How much is kept: so many incidents, and of each so many bytes of last lines.
const (
	MaxIncidents = 64
	MaxText      = 4 << 10
)

// Incident is the end of one worker that nobody asked for, or that had to be forced.
type Incident struct {
	Worker     int       `json:"worker"` // its id, which is never used twice
	Slot       int       `json:"slot"`
	PID        int       `json:"pid"`
	Generation int       `json:"generation"`
	At         time.Time `json:"at"` // zero: before incidents were dated
	// Reason is why it went, a word as in the log: "crash", "startup", "timeout",
	// or what the worker itself gave as one.
	Reason string `json:"reason"`
	// Status is how it ended: "exit status 1", "killed by SIGKILL".
	Status string        `json:"status"`
	Age    time.Duration `json:"age"`
	// Lost is how many requests it took along; nil: nobody knows.
	Lost *uint64 `json:"lost,omitempty"`
	// Lines are the last that it wrote, oldest first.
	Lines []string `json:"lines,omitempty"`
}

// incidents are the last ones, oldest first. The zero value has none.
type incidents struct {
	All []Incident `json:"all,omitempty"`
}

// add enters an incident, and forgets the oldest of too many.
func (i *incidents) add(one Incident) {
	one.Lines = newest(one.Lines, MaxText)
	if len(i.All) >= MaxIncidents {
		i.All = slices.Delete(i.All, 0, len(i.All)-MaxIncidents+1)
	}
	i.All = append(i.All, one)
}

// last returns the newest incident that is as wanted; false: there was none, or it is
// forgotten.
func (i *incidents) last(is func(Incident) bool) (Incident, bool) {
	for _, one := range slices.Backward(i.All) {
		if is(one) {
			return one, true
		}
	}
	return Incident{}, false
}

// Enter enters an incident.
func (b *Books) Enter(one Incident) { b.incidents.add(one) }

// routine are the reasons for which workers are retired when nothing is wrong with
// them. All others are faults, and whatever a worker itself gives as one.
var routine = []fleet.Reason{
	"", fleet.ReasonLifetime, fleet.ReasonReload, fleet.ReasonRollback, fleet.ReasonScale, fleet.ReasonRecycle,
	fleet.ReasonLeft, fleet.ReasonSurplus, fleet.ReasonStop, fleet.ReasonRequests,
}

// Buried makes an incident of the end of a worker if it is one: nobody had asked for it,
// something was wrong with the worker, or it had to be killed. The reason is entered here.
func (b *Books) Buried(a fleet.Bury, one Incident) {
	reason := a.Reason
	if a.Verdict == fleet.Retired {
		if reason = a.Worker.Why; slices.Contains(routine, reason) && a.Worker.State != fleet.Killed {
			return
		}
	}
	one.Reason = string(reason)
	b.Enter(one)
}

// Incidents are those of which more is known than the last lines, newest first.
func (b *Books) Incidents(now time.Time) control.Incidents {
	found := control.Incidents{Incidents: []control.Incident{}}
	for _, i := range slices.Backward(b.incidents.All) {
		if i.At.IsZero() {
			continue // of a version that kept no more than its last lines
		}
		found.Incidents = append(found.Incidents, control.Incident{
			Worker: i.Worker, Slot: i.Slot, PID: i.PID, Generation: i.Generation,
			At: i.At.Format(time.RFC3339Nano), AgoSeconds: control.Seconds(now.Sub(i.At)), Reason: i.Reason, Status: i.Status,
			AgeSeconds: control.Seconds(i.Age), RequestsLost: i.Lost, LastLines: linesOf(i),
		})
	}
	return found
}

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
	if last, found := b.incidents.last(func(i Incident) bool { return slices.Contains(sum.Looping, i.Slot) }); found {
		c.Worker, c.Status, c.LastLines = last.Worker, last.Status, linesOf(last)
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

// linesOf are the last lines of an incident, which are never null.
func linesOf(i Incident) []string { return append([]string{}, i.Lines...) }

// Ending is how a worker ended and the last lines it wrote. The zero value says that
// nothing is known.
type Ending struct {
	Status string
	Lines  []string
	Hint   string // at what kept it from being started; "": it was, or nothing is known
}

// EndingOf is what the incidents know of the end of a worker.
func (b *Books) EndingOf(worker int) Ending {
	i, _ := b.incidents.last(func(one Incident) bool { return one.Worker == worker })
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

// newest are the last lines that have so many bytes together, the first of them cut
// if need be.
func newest(lines []string, room int) []string {
	for at, line := range slices.Backward(lines) {
		if room -= len(line) + 1; room < 0 {
			kept := slices.Clone(lines[at:])
			if kept[0] = "..." + tail(line, len(line)+room); kept[0] == "..." {
				kept = kept[1:]
			}
			return kept
		}
	}
	return lines
}

// tail is the end of a text, of at most so many bytes and in whole letters.
func tail(text string, size int) string {
	for at := range text {
		if len(text)-at <= size {
			return text[at:]
		}
	}
	return ""
}
