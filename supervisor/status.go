//go:build linux

package supervisor

import (
	"context"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// statusTurn is for how long the loop reads the boards of workers in one go, for
// whoever wants to know which requests are in flight.
const statusTurn = time.Millisecond

// Status says what runs, with the requests in flight if they are wanted. Any
// goroutine but that of Run may call it; no worker is waited for.
func (s *Supervisor) Status(ctx context.Context, withRequests bool) (control.Status, error) {
	var st control.Status
	var rest []control.Worker // whose requests are not known yet
	read := func() {
		for begin := time.Now(); len(rest) > 0 && time.Since(begin) < statusTurn; rest = rest[1:] {
			if w := s.roster.Of(rest[0].ID); w != nil { // it is not gone meanwhile
				st.Requests = append(st.Requests, w.Requests()...)
			}
		}
	}
	err := s.loop.Do(ctx, func() {
		st = s.look()
		if withRequests {
			st.Requests, rest = []control.Request{}, st.Workers
		}
		read()
	})
	for err == nil && len(rest) > 0 {
		err = s.loop.Do(ctx, read)
	}
	if err == nil {
		scales.Fill(&st, s.scales.Weigh)
	}
	return st, err
}

// Health says whether the master serves. Any goroutine but that of Run may call
// it.
func (s *Supervisor) Health(ctx context.Context) (control.Health, error) {
	var h control.Health
	err := s.loop.Do(ctx, func() {
		sum := s.fleet.Summary(time.Now())
		h = control.Health{
			Healthy: true, State: s.state(), Condition: control.Condition(sum.Condition),
			ReadyWorkers: sum.Ready, WorkersTarget: sum.Target,
		}
		h.Ready = h.ReadyWorkers > 0 && h.State != control.Stopping
		h.Reason = s.loaders.Wait(s.revisions.Current.Number, sum, time.Now())
	})
	return h, err
}

// look is the status without what takes time to find out.
func (s *Supervisor) look() control.Status {
	now := time.Now()
	s.readBoards(now)
	_, generation := s.fleet.Revision()
	sum := s.fleet.Summary(now)
	st := control.Status{
		Name: s.revisions.Current.Config.Name, PID: os.Getpid(), Version: s.options.Version,
		State: s.state(), Condition: control.Condition(sum.Condition), CrashLoop: s.books.CrashLoop(sum, now),
		LoaderFailing: s.loaders.Failing(s.revisions.Current.Number, sum, now), Generation: generation, UptimeSeconds: control.Seconds(s.books.Uptime(now)),
		WorkersTarget: sum.Target, ReadyWorkers: sum.Ready, Binds: s.revisions.Current.Sockets.URLs(),
		Workers: []control.Worker{}, Loaders: s.loaders.Status(now), Failing: []control.Failing{}, Leases: []control.Lease{},
		Counters: s.books.Counters(s.files.AccessLost()), LastReload: s.reloads.Last(),
	}
	for _, f := range s.fleet.Failing() {
		st.Failing = append(st.Failing, control.Failing{Slot: f.Slot, Boots: f.Boots, Error: s.endingOf(f.Culprit).Of(f.Culprit)})
	}
	for _, l := range s.fleet.Leases() {
		one := control.Lease{Values: l.Lease, Unkillable: l.Unkillable}
		if l.Worker != 0 {
			one.Worker = new(l.Worker)
		}
		st.Leases = append(st.Leases, one)
	}
	for f := range s.fleet.Workers() {
		one := s.roster.Of(f.ID).Describe(f, now)
		one.Restarts = s.books.RestartsOf(f.Slot)
		st.Workers = append(st.Workers, one)
	}
	st.Explain()
	return st
}

// readBoards brings the totals up to date. What is on a board without a header is
// nothing that a worker has said.
func (s *Supervisor) readBoards(now time.Time) {
	for known := range s.fleet.Workers() {
		if known.Cooperates() {
			s.books.Read(known.ID, now, s.roster.Of(known.ID).Reading())
		}
	}
	s.reportDropped(now)
}

// reportDropped says now and then that workers drop lines of the access log. It is
// seen when their boards are read for another reason.
func (s *Supervisor) reportDropped(now time.Time) {
	if lines := s.books.DropReport(now); lines > 0 {
		s.log.Warn("workers dropped lines of the access log", zap.Uint64("lines", lines),
			zap.String("hint", "what reads log.access_file does not keep up: a slow disk, or a pipe or terminal that nobody reads; or one worker writes more than is its due"))
	}
}

// Metrics returns the figures of a scrape. Any goroutine but that of Run may
// call it; no worker is waited for.
func (s *Supervisor) Metrics(ctx context.Context) (m admin.Metrics, err error) {
	err = s.loop.Do(ctx, func() {
		m.Status = s.look()
		durations, codes := s.books.Requests()
		m.Durations, m.Codes, m.Spawns = (*admin.Histogram)(durations), codes, (*admin.Histogram)(s.books.Spawns())
		m.Reloads = s.books.Reloads()
		m.Backlog = s.revisions.Current.Sockets.Queue()
	})
	if err == nil {
		scales.Fill(&m.Status, s.scales.Recall)
	}
	return m, err
}

// state is what the master is doing.
func (s *Supervisor) state() control.State {
	switch {
	case s.fleet.Stopping():
		return control.Stopping
	case s.reloading():
		return control.Reloading
	case !s.fleet.Up():
		return control.Starting
	}
	return control.Running
}

// Incidents returns the last ends of workers that nobody asked for, or that had to
// be forced. Any goroutine but that of Run may call it.
func (s *Supervisor) Incidents(ctx context.Context) (found control.Incidents, err error) {
	err = s.loop.Do(ctx, func() { found = s.books.Incidents(time.Now()) })
	return found, err
}
