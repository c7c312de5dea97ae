//go:build linux

// Package report says what a master is doing, as its rooms know it: for people and
// programs, for the service manager, and for the line in the log at the end of a worker.
package report

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/manager"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// A Report reads the rooms of one master, which are required up to Files. Its methods are for
// the goroutine that owns them.
type Report struct {
	Version   string
	Log       *zap.Logger
	Fleet     *fleet.Fleet
	Roster    *roster.Roster
	Revisions *revision.Known
	Books     *books.Books
	Loaders   *preload.Loaders
	Reloads   *reloads.Reloads
	Files     *ownfiles.Files
	// Manager is the service manager, once it was met; nil: there is none. Store has it keep
	// the sockets that the next master needs, unless it is busy.
	Manager *manager.Manager
	Store   func(*manager.Manager) error
	// Recent is [scales.Scales.Recent]; nil: nobody is weighed.
	Recent func(ids []int) uint64
	// Overlap is why there are fewer processes at a time than there may be; nil: nobody measures.
	Overlap func() *control.Overlap
}

// Health says whether the master serves.
func (r *Report) Health(now time.Time) control.Health {
	sum := r.Fleet.Summary(now)
	h := control.Health{
		Healthy: true, State: r.state(), Condition: control.Condition(sum.Condition),
		ReadyWorkers: sum.Ready, WorkersTarget: sum.Target,
	}
	asleep := r.Fleet.Follows() && r.Fleet.Floor() == 0 && h.Condition != control.FleetCrashLoop // whoever comes wakes one up
	h.Ready = (h.ReadyWorkers > 0 || asleep) && h.State != control.Stopping
	h.Reason = r.wait(sum, now)
	return h
}

// Status says what runs, but for what takes time to find out: the requests in flight, and
// what the processes weigh.
func (r *Report) Status(now time.Time) control.Status {
	r.ReadBoards(now)
	_, generation := r.Fleet.Revision()
	sum, inForce := r.Fleet.Summary(now), r.Revisions.Current
	st := control.Status{
		Name: inForce.Config.Name, PID: os.Getpid(), Version: r.Version,
		State: r.state(), Condition: control.Condition(sum.Condition), CrashLoop: r.Books.CrashLoop(sum, now),
		LoaderFailing: r.Loaders.Failing(inForce.Number, sum, now), Generation: generation, UptimeSeconds: control.Seconds(r.Books.Uptime(now)),
		WorkersTarget: sum.Target, ReadyWorkers: sum.Ready, Binds: inForce.Binds(), Backlog: inForce.Sockets.Queue(),
		Workers: []control.Worker{}, Loaders: r.Loaders.Status(now), Failing: []control.Failing{}, Leases: []control.Lease{},
		Counters: r.Books.Counters(r.Files.AccessLost()), LastReload: r.Reloads.Last(),
	}
	st.ReadySpares, st.SparesTarget = r.Fleet.Spares()
	st.Sizing = r.sizing(sum.Target)
	if r.Overlap != nil {
		st.Overlap = r.Overlap()
	}
	for _, f := range r.Fleet.Failing() {
		st.Failing = append(st.Failing, control.Failing{Slot: f.Slot, Boots: f.Boots, Error: r.EndingOf(f.Culprit).Of(f.Culprit)})
	}
	for _, l := range r.Fleet.Leases() {
		st.Leases = append(st.Leases, leaseOf(l))
	}
	for f := range r.Fleet.Workers() {
		one := r.Roster.Of(f.ID).Describe(f, now)
		one.Restarts = r.Books.RestartsOf(f.Slot)
		st.Workers = append(st.Workers, one)
	}
	st.Explain()
	return st
}

// sizing is why there are so many workers, where that follows the demand.
func (r *Report) sizing(target int) *control.Sizing {
	is := r.Fleet.Sizing()
	if is.Most == 0 {
		return nil
	}
	s := &control.Sizing{Min: is.Floor, Max: is.Most, TargetInFlight: is.PerWorker, InFlight: is.InFlight, Waiting: is.Waiting, Needed: is.Need}
	if is.Room > 0 {
		s.Room = new(is.Room)
	}
	s.Explain(target, is.Blind)
	return s
}

// Metrics are the figures of a scrape, but for what the processes weigh.
func (r *Report) Metrics(now time.Time) (m admin.Metrics) {
	m.Status = r.Status(now)
	durations, codes := r.Books.Requests()
	m.Durations, m.Codes, m.Spawns = (*admin.Histogram)(durations), codes, (*admin.Histogram)(r.Books.Spawns())
	m.Reloads, m.Incidents = r.Books.Reloads(), r.Books.IncidentCounts()
	m.Backlog = m.Status.Backlog
	return m
}

// memory is what workers and loaders took together when that was measured last; 0: it was
// not for long.
func (r *Report) memory() uint64 {
	if r.Recent == nil {
		return 0
	}
	var ids []int
	for known := range r.Fleet.Workers() {
		ids = append(ids, known.ID)
	}
	for _, one := range r.Loaders.Leaders() {
		ids = append(ids, scales.LoaderID(&one.PID))
	}
	return r.Recent(ids)
}

// ReadBoards brings the totals up to date, and the picture of the last hour. What is on a board without a header is
// nothing that a worker has said.
func (r *Report) ReadBoards(now time.Time) {
	ready, inFlight := uint64(0), uint64(0)
	for known := range r.Fleet.Workers() {
		if known.State == fleet.Ready && !known.Spare() {
			ready++
		}
		if known.Cooperates() {
			reading := r.Roster.Of(known.ID).Reading()
			r.Books.Read(known.ID, now, reading)
			inFlight += reading.Counters.Started - min(reading.Counters.Finished, reading.Counters.Started)
		}
	}
	r.Books.Observe(now, ready, inFlight, r.memory())
	r.WarnDropped(now)
}

// WarnDropped says now and then that workers drop lines of the access log. It is
// seen when their boards are read for another reason.
func (r *Report) WarnDropped(now time.Time) {
	if lines := r.Books.DropReport(now); lines > 0 {
		r.Log.Warn("workers dropped lines of the access log", zap.Uint64("lines", lines),
			zap.String("hint", "what reads log.access_file does not keep up: a slow disk, or a pipe or terminal that nobody reads; or one worker writes more than is its due"))
	}
}

// Reloading says whether a reload is under way.
func (r *Report) Reloading() bool { return r.Reloads.Preparing() || r.Fleet.Reloading() }

// state is what the master is doing.
func (r *Report) state() control.State {
	switch {
	case r.Fleet.Stopping():
		return control.Stopping
	case r.Reloading():
		return control.Reloading
	case !r.Fleet.Up():
		return control.Starting
	}
	return control.Running
}

// Phase is what the service is doing, for the service manager.
func (r *Report) Phase() manager.Phase {
	switch {
	case r.Fleet.Stopping():
		return manager.Stopping
	case !r.Fleet.Up():
		return manager.Starting
	case r.Reloading():
		return manager.Reloading
	}
	return manager.Running
}

// Service is what the service manager is to know.
func (r *Report) Service(now time.Time) manager.State {
	is := manager.State{Phase: r.Phase(), Reloads: r.Reloads.Begun(), Status: r.Summary(now).String()}
	if !r.Reloads.Preparing() {
		is.Until = r.Fleet.Horizon()
		if is.Until.Before(now) {
			is.Until = now
		}
	}
	return is
}

// Meet finds the service manager. A master runs without one, too.
func (r *Report) Meet(environ []string) {
	m, err := manager.Find(environ)
	if err != nil {
		r.Log.Warn("nobody is told when the workers are ready", zap.Error(err))
	}
	r.Manager = m
}

// Due is when to call [Report.Inform] even if nothing happens; zero: never.
func (r *Report) Due() time.Time { return r.Manager.Due() }

// Inform tells the service manager what it does not know yet, as soon as it keeps the
// sockets that the next master needs, should this one die.
func (r *Report) Inform(now time.Time) {
	if r.Manager == nil || r.Store(r.Manager) != nil {
		return
	}
	if err := r.Manager.Tell(now, r.Service(now)); err != nil {
		r.Log.Warn("cannot tell the service manager", zap.Error(err))
	}
}

// Summary is what the service is doing, for people.
func (r *Report) Summary(now time.Time) manager.Summary {
	sum := r.Fleet.Summary(now)
	is := manager.Summary{Phase: r.Phase(), Target: sum.Target, Ready: sum.Ready, Alive: r.Fleet.Alive()}
	_, is.Generation = r.Fleet.Revision()
	if c := control.Condition(sum.Condition); c == control.FleetCrashLoop || c == control.FleetDegraded {
		is.Trouble = c.Text()
	}
	is.Wait = r.wait(sum, now)
	if culprit, e, gaveUp := r.GaveUp(); gaveUp && culprit != 0 {
		is.GaveUp = fmt.Sprintf("worker %d could not boot: %s", culprit, e.Status)
	} else if gaveUp {
		is.GaveUp = "the application could not be loaded: " + e.Status
	}
	if last := r.Reloads.Last(); last.Result == control.RolledBack {
		is.Reload = "rolled back: " + last.Error
		if r.Reloads.Refused() {
			is.Reload = "refused: " + last.Error
		}
	}
	return is
}

// GaveUp says whether the first workers could not boot, and how the one ended after which
// that was given up; 0: it was the loader.
func (r *Report) GaveUp() (culprit int, e books.Ending, gaveUp bool) {
	culprit = r.Fleet.Culprit()
	switch {
	case culprit != 0:
		return culprit, r.EndingOf(culprit), true
	case r.Fleet.LoaderFailed():
		return 0, r.Loaders.Ending(r.Revisions.Current.Number), true
	}
	return 0, books.Ending{}, false
}

// EndingOf is what is known of the end of a worker, dead or as good as dead.
func (r *Report) EndingOf(worker int) books.Ending {
	w := r.Roster.Of(worker)
	if w == nil {
		return r.Books.EndingOf(worker)
	}
	known, _ := r.Fleet.Worker(worker)
	return r.Books.Explain(w.Ending(known), w.FinalLines())
}

// wait says in one line why workers are missing that could be started otherwise; "": none
// are.
func (r *Report) wait(sum fleet.Summary, now time.Time) string {
	return cmp.Or(r.Loaders.Wait(r.Revisions.Current.Number, sum, now), r.waitForLease(sum))
}

// waitForLease says who keeps a lease that a missing worker could have; "": nobody does, or
// another lease is free.
func (r *Report) waitForLease(sum fleet.Summary) (why string) {
	if sum.Ready >= sum.Target {
		return ""
	}
	for _, l := range r.Fleet.Leases() {
		one := leaseOf(l)
		if one.Worker == nil {
			return ""
		}
		if _, alive := r.Fleet.Worker(l.Worker); why == "" && (l.Unkillable || !alive) {
			why = fmt.Sprintf("no lease is free: %s is held by %s", one, one.Holder())
			if !l.Unkillable {
				why = fmt.Sprintf("no lease is free: %s is held by what is left of worker %d", one, l.Worker)
			}
		}
	}
	return why
}

// leaseOf is a lease with its holder, for people and programs.
func leaseOf(l fleet.Tenure) control.Lease {
	one := control.Lease{Values: l.Lease, Unkillable: l.Unkillable}
	if l.Worker != 0 {
		one.Worker = new(l.Worker)
	}
	return one
}
