//go:build linux

package manager

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

const (
	// extendMargin is by how much more than its own deadlines the service has the service manager wait. What follows
	// from a deadline is asked for when half of it is left.
	extendMargin = 10 * time.Second
	// busyRetry is when a service manager is tried again that did not read.
	busyRetry = 100 * time.Millisecond
)

// A Phase is what a service is doing in the eyes of the service manager.
type Phase int

// A service starts once, runs or reloads, and stops once.
const (
	_ Phase = iota // nothing was said yet
	Starting
	Running
	Reloading
	Stopping
)

// A State is all that the service manager is told.
type State struct {
	Phase   Phase
	Reloads int    // begun so far, those included that are over
	Status  string // for people
	// Until is when what is under way will be over at the latest; zero: nobody knows. The time that the service manager
	// would wait by itself is not known here, and if that is longer it stays.
	Until time.Time
}

// A Link carries what is said to a service manager. None of its methods waits; after [ErrBusy] nothing was sent.
type Link interface {
	Send(assignments ...string) error
	// Store has the descriptor kept under the name, Remove gives up those of that name.
	Store(name string, fd int) error
	Remove(name string) error
}

// A Manager is the service manager; nil: there is none. It belongs to one goroutine.
type Manager struct {
	link     Link
	watchdog time.Duration // it wants a sign of life as often; 0: none
	keeps    bool          // it may have a descriptor store
	beat     time.Time     // when to send the next; zero: at once
	retry    time.Time     // when to try again; zero: it took everything

	told struct {
		phase   Phase
		reloads int
		status  string
		until   time.Time // how long it waits in this phase
	}
}

// New is a service manager at the end of a link. It has no descriptor store.
func New(link Link, watchdog time.Duration) *Manager { return &Manager{link: link, watchdog: watchdog} }

// Due is when to call [Manager.Tell] even if nothing happens; zero: never.
func (m *Manager) Due() time.Time {
	switch {
	case m == nil:
		return time.Time{}
	case !m.retry.IsZero():
		return m.retry
	}
	return m.beat
}

// Tell tells the service manager what it does not know yet. The error is about what it will never hear; what it is too
// busy for is told later.
func (m *Manager) Tell(now time.Time, is State) error {
	if m == nil {
		return nil
	}
	m.retry = time.Time{}
	var errs []error
	for {
		told, beat := m.told, m.beat
		news := m.news(now, is)
		if len(news) == 0 {
			return errors.Join(errs...)
		}
		err := m.link.Send(news...)
		if errors.Is(err, ErrBusy) {
			m.told, m.beat, m.retry = told, beat, now.Add(busyRetry)
			return errors.Join(errs...)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", strings.Join(news, " "), err))
		}
	}
}

// Keeps says whether there may be a descriptor store.
func (m *Manager) Keeps() bool { return m != nil && m.keeps }

// Store has the service manager keep a descriptor, and pass it under the name to the next process of this service. The
// name is printable ASCII without ':', of at most 255 bytes. After an error other than [ErrBusy] there is no store.
func (m *Manager) Store(name string, fd int) error { return m.kept(m.link.Store(name, fd)) }

// Remove has the service manager give up the descriptors of that name; errors are as for Store.
func (m *Manager) Remove(name string) error { return m.kept(m.link.Remove(name)) }

// kept draws the consequences of an error of the descriptor store.
func (m *Manager) kept(err error) error {
	switch {
	case errors.Is(err, ErrBusy):
		m.retry = time.Now().Add(busyRetry)
	case err != nil:
		m.keeps = false
	}
	return err
}

// news is the next message to the service manager, which is taken for told.
func (m *Manager) news(now time.Time, is State) (assignments []string) {
	if a := m.advance(is); a != "" {
		assignments = append(assignments, a)
	}
	if is.Status != m.told.status {
		m.told.status = is.Status
		assignments = append(assignments, status(is.Status))
	}
	if wait := m.extension(now, is.Until); wait > 0 {
		m.told.until = now.Add(wait)
		assignments = append(assignments, extendTimeout(wait))
	}
	if m.watchdog > 0 && !m.beat.After(now) {
		m.beat = now.Add(m.watchdog / 2)
		assignments = append(assignments, protocol.NotifyWatchdog)
	}
	return assignments
}

// advance takes the service manager one step nearer to the phase that is, and returns what makes it take that step: ""
// if it needs no word. No step is left out: a reload that is over already began first.
func (m *Manager) advance(is State) string {
	was, begun := m.told.phase, is.Reloads != m.told.reloads
	enter := func(p Phase, assignment string) string {
		m.told.phase, m.told.reloads, m.told.until = p, is.Reloads, time.Time{}
		return assignment
	}
	switch {
	case was == Stopping, is.Phase == was && !begun:
		return ""
	case is.Phase == Stopping:
		return enter(Stopping, protocol.NotifyStopping)
	case is.Phase == Starting:
		return enter(Starting, "")
	case was <= Starting:
		return enter(Running, protocol.NotifyReady)
	case is.Phase == Reloading, begun:
		return enter(Reloading, reloading())
	}
	return enter(Running, protocol.NotifyReady)
}

// extension is how long the service manager is to wait from now for the end of what is under way; 0: it knows.
func (m *Manager) extension(now, until time.Time) time.Duration {
	if m.told.phase == Running || until.IsZero() {
		return 0
	}
	if until.Before(now) {
		until = now
	}
	if told := m.told.until; !told.IsZero() && (until.Equal(now) || !until.Add(extendMargin/2).After(told)) {
		return 0
	}
	return until.Add(extendMargin).Sub(now)
}

// Summary is what a service is doing, for the people who ask the service manager.
type Summary struct {
	Phase      Phase
	Target     int // workers that there are to be
	Ready      int // of them
	Alive      int // workers that are left
	Generation int
	Trouble    string // what is wrong with the workers; "": nothing
	Wait       string // what missing ones wait for; "": for nothing but themselves
	GaveUp     string // why they could not boot; "": they could
	Reload     string // how the last reload failed; "": it did not
}

// String says it in one line.
func (s Summary) String() string {
	workers := count(s.Target) + " ready"
	if s.Ready != s.Target {
		workers = fmt.Sprintf("%d of %s", s.Ready, workers)
	}
	workers += fmt.Sprintf(", generation %d", s.Generation)
	if s.Wait != "" {
		workers += "; " + s.Wait
	}
	if s.Trouble != "" {
		workers = s.Trouble + ": " + workers
	}
	switch {
	case s.Phase == Stopping && s.GaveUp != "":
		return "gave up: " + s.GaveUp
	case s.Phase == Stopping:
		return "stopping: " + count(s.Alive) + " left"
	case s.Phase == Starting && s.Trouble == "":
		return "starting: " + workers
	case s.Phase == Reloading:
		return "reloading: " + workers
	case s.Reload != "":
		return workers + "; reload " + s.Reload
	}
	return workers
}

// count is a number of workers for people.
func count(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}
