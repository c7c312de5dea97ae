//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/protocol"
)

const (
	// extendMargin is by how much more than its own deadlines the master has the
	// service manager wait. What follows from a deadline is asked for when half of
	// it is left.
	extendMargin = 10 * time.Second
	// busyRetry is when a service manager is tried again that did not read.
	busyRetry = 100 * time.Millisecond
)

// manager is the service manager that started the master.
type manager interface {
	Send(assignments ...string) error
	Store(name string, fd int) error
	Remove(name string) error
}

// A phase is what a service is doing in the eyes of the service manager.
type phase int

const (
	phaseNone phase = iota // nothing was said yet
	phaseStarting
	phaseRunning
	phaseReloading
	phaseStopping
)

// systemd is what the service manager was told. That is compared with what is
// the case whenever something happened, and the difference is sent: what the
// service manager could not take is made up for.
type systemd struct {
	manager  manager       // nil: there is none
	watchdog time.Duration // it wants a sign of life as often; 0: none
	beat     time.Time     // when to send the next; zero: at once
	retry    time.Time     // when to try again; zero: it took everything
	keeps    bool          // it may have a descriptor store
	kept     *socket.Set   // what is in there

	reloads int // begun

	told struct {
		phase   phase
		reloads int
		status  string
		until   time.Time // how long it waits in this phase
	}
}

// meetManager finds the service manager. The master runs without one, too.
func (s *Supervisor) meetManager() {
	m, err := notify.FindManager(s.options.Environ)
	switch {
	case err != nil:
		s.log.Warn("nobody is told when the workers are ready", zap.Error(err))
	case m != nil:
		s.systemd.manager, s.systemd.watchdog, s.systemd.keeps = m, m.Watchdog(), m.Keeps()
	}
}

// due is when the service manager is to hear something; zero: nothing is due.
func (d *systemd) due() time.Time {
	switch {
	case d.manager == nil:
		return time.Time{}
	case !d.retry.IsZero():
		return d.retry
	}
	return d.beat
}

// inform tells the service manager what it does not know yet.
func (s *Supervisor) inform() {
	d := &s.systemd
	if d.manager == nil {
		return
	}
	d.retry = time.Time{}
	if err := s.store(); err != nil {
		d.retry = time.Now().Add(busyRetry)
		return
	}
	for {
		before, beat, now := d.told, d.beat, time.Now()
		news := s.news(now)
		if len(news) == 0 {
			return
		}
		err := d.manager.Send(news...)
		if errors.Is(err, notify.ErrBusy) {
			d.told, d.beat, d.retry = before, beat, now.Add(busyRetry)
			return
		}
		if err != nil {
			s.log.Warn("cannot tell the service manager", zap.Strings("what", news), zap.Error(err))
		}
	}
}

// news is the next message to the service manager, which is taken for told.
func (s *Supervisor) news(now time.Time) (assignments []string) {
	d := &s.systemd
	if a := d.advance(s.phase()); a != "" {
		assignments = append(assignments, a)
	}
	if status := s.summary(); status != d.told.status {
		d.told.status = status
		assignments = append(assignments, notify.Status(status))
	}
	if wait := s.extension(now); wait > 0 {
		d.told.until = now.Add(wait)
		assignments = append(assignments, notify.ExtendTimeout(wait))
	}
	if d.watchdog > 0 && !d.beat.After(now) {
		d.beat = now.Add(d.watchdog / 2)
		assignments = append(assignments, protocol.NotifyWatchdog)
	}
	return assignments
}

// phase is what the service is doing.
func (s *Supervisor) phase() phase {
	switch {
	case s.fleet.Stopping():
		return phaseStopping
	case !s.up:
		return phaseStarting
	case s.reloading():
		return phaseReloading
	}
	return phaseRunning
}

// advance takes the service manager one step nearer to the phase that is, and
// returns what makes it take that step: "" if it needs no word. No step is left
// out: a reload that is over already began first.
func (d *systemd) advance(is phase) string {
	was, begun := d.told.phase, d.reloads != d.told.reloads
	enter := func(p phase, assignment string) string {
		d.told.phase, d.told.reloads, d.told.until = p, d.reloads, time.Time{}
		return assignment
	}
	switch {
	case was == phaseStopping, is == was && !begun:
		return ""
	case is == phaseStopping:
		return enter(phaseStopping, protocol.NotifyStopping)
	case is == phaseStarting:
		return enter(phaseStarting, "")
	case was <= phaseStarting:
		return enter(phaseRunning, protocol.NotifyReady)
	case is == phaseReloading, begun:
		return enter(phaseReloading, notify.Reloading())
	}
	return enter(phaseRunning, protocol.NotifyReady)
}

// extension is how long the service manager is to wait from now for the end of
// what is under way; 0: it knows. The time it would wait by itself is not known
// here, and if that is longer it stays.
func (s *Supervisor) extension(now time.Time) time.Duration {
	told := s.systemd.told
	if told.phase == phaseRunning || s.preparations.newest != nil {
		return 0
	}
	horizon := s.fleet.Horizon()
	if horizon.Before(now) {
		horizon = now
	}
	if !told.until.IsZero() && (horizon.Equal(now) || !horizon.Add(extendMargin/2).After(told.until)) {
		return 0
	}
	return horizon.Add(extendMargin).Sub(now)
}

// summary says in one line what the service is doing.
func (s *Supervisor) summary() string {
	sum := s.fleet.Summary(time.Now())
	workers := workersOf(sum.Target) + " ready"
	if sum.Ready != sum.Target {
		workers = fmt.Sprintf("%d of %s", sum.Ready, workers)
	}
	_, generation := s.fleet.Revision()
	workers += fmt.Sprintf(", generation %d", generation)
	if c := control.Condition(sum.Condition); c == control.FleetCrashLoop || c == control.FleetDegraded {
		workers = c.Words() + ": " + workers
	} else if s.phase() == phaseStarting {
		return "starting: " + workers
	}
	switch s.phase() {
	case phaseReloading:
		return "reloading: " + workers
	case phaseStopping:
		if s.culprit != 0 {
			return fmt.Sprintf("gave up: worker %d could not boot: %s", s.culprit, s.epitaph(s.culprit).status)
		}
		return "stopping: " + workersOf(s.fleet.Alive()) + " left"
	}
	if last := s.reloads.last; last.Result == control.RolledBack {
		how := "rolled back"
		if s.reloads.newest == 0 {
			how = "refused"
		}
		return fmt.Sprintf("%s; reload %s: %s", workers, how, last.Error)
	}
	return workers
}

func workersOf(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}
