//go:build linux

// Package postmortem says how workers ended. What a dead one has done, and what it had, is
// read off its board and its output at once. Whether it was the kernel that killed it the
// kernel is asked, for which its incident waits, and the line in the log waits until what
// the worker wrote last is passed on as well (package logorder).
package postmortem

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gosuper/gosuper/supervisor/internal/archive"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/limits"
	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// Options are what postmortems need. All fields are required.
type Options struct {
	Log    *logorder.Log
	Fleet  *fleet.Fleet
	Roster *roster.Roster // where the output is left of those that are gone
	Books  *books.Books
	Limits *limits.Limits
	Report *report.Report
	Files  *ownfiles.Files
}

// Postmortems are those of the workers of one master. They belong to one goroutine, and
// are of use after [Postmortems.Attach].
type Postmortems struct {
	// Archive keeps incidents as files.
	Archive archive.Archive `state:",inline"`

	options Options `state:"-"`
	boots   boots   `state:"-"`
}

// Attach says what the postmortems work with.
func (p *Postmortems) Attach(o Options) { p.options = o }

// Bury explains the death of a worker that is on the roster no more, and gives back what
// it had.
func (p *Postmortems) Bury(w *roster.Worker, a fleet.Bury) {
	o := &p.options
	o.Limits.Guard.Forget(w.ID)
	if !a.Worker.State.Ending() && time.Until(a.Worker.Until) < fleet.CutMargin {
		o.Limits.Lost(w, a.Worker)
	}
	lost, served := p.count(a.Worker, w)
	held := heldBy(a.Worker, w, lost)
	memory, kind := o.Limits.Scales.Last(w.ID)
	age, lines := w.Age(), w.FinalLines()
	explained := make(chan string, 1)
	one := incidents.Incident{
		Worker: w.ID, Slot: w.Slot, PID: w.PID, Generation: w.Generation, At: time.Now().UTC().Round(0),
		Age: age, Memory: memory, MemoryKind: string(kind), Lost: lost, Held: held,
		Lines: lines, Stacks: w.Stacks(),
	}
	o.Limits.ExplainKill(w, a.Worker, func() {
		one.Status = w.Ending(a.Worker)
		if reason, is := incidents.Reason(a); is {
			one.Reason = string(reason)
			p.Enter(one)
		}
		explained <- one.Status
	})
	who, rest := w.Fields(), slices.Concat([]zap.Field{zap.Duration("age", age)}, served, held.Fields())
	level, message, why := zapcore.InfoLevel, "worker gone", []zap.Field{zap.String("reason", string(cmp.Or(a.Worker.Why, fleet.ReasonLeft)))}
	if a.Verdict != fleet.Retired {
		if ready := a.Worker.ReadyAt; !ready.IsZero() { // so soon after that it was a boot that failed, or is not forgiven
			rest = append(rest, zap.Duration("ready_for", time.Since(ready).Round(time.Millisecond)))
		}
		level, message, why = zapcore.ErrorLevel, "worker "+a.Verdict.String(), []zap.Field{zap.Duration("backoff", a.Backoff.Round(time.Millisecond)), zap.Strings("last_lines", lines)}
	}
	seen := p.output(w, a.Worker)
	o.Log.Behind(func(atMost time.Duration) ([]zap.Field, bool) {
		status := zap.String("status", <-explained)
		instead, passed := seen(atMost)
		return slices.Concat(who, []zap.Field{status}, rest, instead, why), passed
	}, level, message)
	o.Roster.Leave(w.Tails()...)
	w.Release()
	if access := o.Files.Access(); access != nil {
		access.Retire(w.ID)
	}
}

// Enter has an incident remembered.
func (p *Postmortems) Enter(one incidents.Incident) {
	p.options.Books.Enter(one)
	p.Archive.Enter(one)
}

// heldBy are the requests that a dead worker held, of which so many are lost.
func heldBy(known fleet.Worker, w *roster.Worker, lost *uint64) incidents.Held {
	if !known.Cooperates() {
		return incidents.Held{}
	}
	return incidents.HeldOf(w.View(), w.Age()).Of(lost)
}

// count adds what a dead worker did to the totals. It returns what it took along, and for
// the log what it served and by how much that is more than it should have; nil of a plain
// one, as that is not known.
func (p *Postmortems) count(known fleet.Worker, w *roster.Worker) (lost *uint64, fields []zap.Field) {
	o := &p.options
	if !known.Cooperates() {
		return o.Books.Gone(w.ID, time.Now(), nil), nil
	}
	last := w.Reading()
	started := last.Counters.Started
	lost = o.Books.Gone(w.ID, time.Now(), &last)
	o.Report.WarnDropped(time.Now())
	fields = []zap.Field{zap.Uint64("requests", started)}
	if *lost > 0 {
		fields = append(fields, zap.Uint64("requests_lost", *lost))
	}
	if w.Limit > 0 && started > uint64(w.Limit) {
		fields = append(fields, zap.Uint64("overshoot", started-uint64(w.Limit)))
	}
	return lost, fields
}

// output is what a dead worker wrote, all of which is to be seen, but of a boot that
// failed as one before.
func (p *Postmortems) output(w *roster.Worker, known fleet.Worker) logorder.Output {
	one := boot{worker: w.ID, pid: w.PID, wrote: w.Held(), failed: known.ReadyAt.IsZero() && !p.options.Fleet.EverReady()}
	passedOn := w.PassedOn()
	return func(atMost time.Duration) ([]zap.Field, bool) {
		if !passedOn(atMost) {
			atMost = 0
		}
		return p.boots.release(one, atMost)
	}
}

// AllReady writes the line that says so, after which boots are not compared any more.
func (p *Postmortems) AllReady(fields ...zap.Field) {
	p.options.Log.Behind(func(time.Duration) ([]zap.Field, bool) {
		p.boots = boots{}
		return fields, true
	}, zapcore.InfoLevel, "ready")
}

// boots compares what workers wrote that did not become ready, before anything ever was:
// what one has said already is not said again. It belongs to the goroutine of the log.
type boots struct {
	last boot
	text []byte // that it wrote, as it was seen; nil: there was none
}

// boot is that of one worker, which has ended.
type boot struct {
	worker, pid int
	wrote       *process.Held
	failed      bool // and may have written what another has
}

// release has all that the worker wrote be seen, but for what another has written; then it
// returns what is said instead. It waits for that as [process.Held.ReleaseExcept] does.
func (b *boots) release(one boot, atMost time.Duration) (instead []zap.Field, passed bool) {
	if !one.failed {
		return nil, one.wrote.Release(atMost)
	}
	lines, passed := one.wrote.ReleaseExcept(b.as(one.pid), atMost)
	if lines == 0 {
		b.last, b.text = one, one.wrote.Seen()
		return nil, passed
	}
	count := "line"
	if lines > 1 {
		count = fmt.Sprintf("%d lines", lines)
	}
	return []zap.Field{zap.String("wrote", fmt.Sprintf("the same %s as worker %d", count, b.last.worker))}, passed
}

// as is the text as the process of this pid would have written it.
func (b *boots) as(pid int) []byte {
	number := regexp.MustCompile(`\b` + strconv.Itoa(b.last.pid) + `\b`)
	return number.ReplaceAll(b.text, []byte(strconv.Itoa(pid)))
}
