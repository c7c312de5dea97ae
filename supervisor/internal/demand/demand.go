//go:build linux

// Package demand measures how much there is to do for workers whose number follows that,
// and tells the brain: the requests in flight, which are on the boards of cooperating
// workers, and the connections that nobody has accepted.
//
// While there is something to do it looks again and again. When there is nothing it waits
// until a connection arrives, until a worker says that it is busy, or until somebody was
// idle for long enough: an idle fleet costs no wake-ups. A connection that a worker accepts
// at once may never be seen to wait, and on one that is open nothing waits at all, so that
// workers who cannot say so are looked at seldom.
package demand

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

const (
	// often is how often it looks while there is something to do, and more workers may be
	// needed, and once more when workers were told to say when they are busy; rarely is how
	// often else. Where some do not say so it is how often while connections are open on
	// which requests may come, and seldom how often while none is.
	often  = 250 * time.Millisecond
	rarely = time.Second
	seldom = 2 * time.Second
	// roomFor is for how long it is taken for granted how much memory there is, and
	// roomWhile how long while nobody has anything to do, but more workers are there than
	// there have to be.
	roomFor   = 5 * time.Second
	roomWhile = 30 * time.Second
)

// Options are what a meter needs. All fields are required.
type Options struct {
	Log       *zap.Logger
	Loop      *loop.Loop // by which it hears that connections wait
	Fleet     *fleet.Fleet
	Roster    *roster.Roster
	Revisions *revision.Known
	// Listen has sockets listen, which nobody does else where there is no worker.
	Listen func(*socket.Set) error
	// Stale has the limits of the machine be read, unless that was done so lately.
	Stale func(now time.Time, age time.Duration)
	// Step has the brain take a step.
	Step func(...fleet.Event)
}

// Meter measures. It belongs to one goroutine, and is of use after [Meter.Attach].
type Meter struct {
	options Options

	next    time.Time      // when to look; zero: when the brain asks, or a connection arrives
	arrived bool           // one just did
	waited  bool           // some waited when it looked last
	busy    bool           // there was something to do when it looked last
	asked   map[int]bool   // by worker, whether it is going to say when it is busy
	started map[int]uint64 // by worker, how many requests had when it looked last

	watch watch
	deaf  *socket.Set // could not be made to listen, which was said

	room int // for how many workers there was memory when it looked last
}

// Attach says what the meter works with.
func (m *Meter) Attach(o Options) {
	m.options = o
	m.watch.arrived = func() {
		o.Loop.Report(func() {
			m.watch.armed, m.arrived = false, true
			m.next = time.Now()
			m.Look(m.next)
		})
	}
}

// Due is when to look next; zero: when a connection arrives.
func (m *Meter) Due() time.Time { return loop.Soonest(m.next, m.options.Fleet.DemandBy()) }

// Keep begins to measure where that matters, or ends it. It is to be called after each step
// of the brain.
func (m *Meter) Keep() {
	if !m.options.Fleet.Follows() {
		m.next = time.Time{}
		return
	}
	if m.next.IsZero() && (!m.watch.armed || !slices.Equal(m.watch.fds, m.options.Revisions.Current.Sockets.Listening()) || m.news()) {
		m.next = time.Now()
	}
}

// news says whether there is a worker who may accept connections and was never asked to
// say when it is busy.
func (m *Meter) news() bool {
	for w := range m.options.Fleet.Workers() {
		if _, known := m.asked[w.ID]; !known && w.State == fleet.Ready && !w.Spare() && w.Cooperates() {
			return true
		}
	}
	return false
}

// Told takes note that a worker says it is busy. It says so once, until it is asked again.
func (m *Meter) Told(id int) {
	w := m.options.Roster.Of(id)
	if w == nil || !m.asked[id] {
		return
	}
	delete(m.asked, id)
	w.View().SetBusyAt(0)
	if !m.busy {
		m.arrived = true
		m.next = time.Now()
	}
}

// Look tells the brain what there is to do, if it is time.
func (m *Meter) Look(now time.Time) {
	due := m.Due()
	if due.IsZero() || due.After(now) {
		return
	}
	m.next = time.Time{}
	seen := m.measure(now)
	m.plan(now, &seen)
	m.options.Step(seen.Demand)
}

// sight is what one look sees.
type sight struct {
	fleet.Demand
	total  int              // requests in flight
	active bool             // some began since the last look
	open   bool             // connections are open on which some may come
	ready  bool             // somebody may accept connections
	blind  bool             // of some worker it cannot be seen
	seen   []*roster.Worker // of whom it can
}

// measure looks.
func (m *Meter) measure(now time.Time) (s sight) {
	sockets := m.options.Revisions.Current.Sockets
	s.Waiting = sockets.Queue()
	s.Room = m.roomAt(now)
	started := map[int]uint64{}
	for w := range m.options.Fleet.Workers() {
		if w.State != fleet.Ready || w.Spare() {
			continue
		}
		s.ready = true
		if !w.Cooperates() {
			s.blind = true
			continue
		}
		known := m.options.Roster.Of(w.ID)
		s.seen = append(s.seen, known)
		c := known.View().Counters()
		one := fleet.InFlight{ID: w.ID}
		if c.Started > c.Finished {
			one.N = int(min(c.Started-c.Finished, 1<<20))
		}
		if before, ok := m.started[w.ID]; ok && before != c.Started {
			s.active = true
			if one.N == 0 && s.total == 0 {
				one.N = 1 // it is over already
			}
		}
		s.open = s.open || c.Open > 0
		s.total += one.N
		started[w.ID] = c.Started
		s.InFlight = append(s.InFlight, one)
	}
	m.started = started
	waits := s.Waiting > 0
	if s.ready && s.blind && !m.waited {
		s.Waiting = 0 // it may be accepted just now
	}
	m.waited = waits
	return s
}

// plan says when to look next: at once it is told when a connection arrives, if there is
// nothing to do.
func (m *Meter) plan(now time.Time, s *sight) {
	most := m.options.Fleet.AtMost()
	busy := s.total > 0 || s.Waiting > 0 || m.waited || s.active || m.arrived
	m.arrived, m.busy = false, busy
	switch {
	case busy && !most:
		m.next = now.Add(often)
	case busy:
		m.next = now.Add(rarely)
	}
	if busy {
		return
	}
	switch more, mute := m.ask(s.seen); {
	case more: // what has begun just before they know is seen once more
		m.next = now.Add(often)
	case mute && s.open && !most:
		m.next = now.Add(rarely)
	case mute && !most:
		m.next = now.Add(seldom)
	case m.options.Revisions.Current.Config.WorkerMemory > 0 && m.options.Fleet.Target() > m.options.Fleet.Floor():
		m.next = now.Add(roomWhile)
	}
	m.Listen()
	if err := m.watch.arm(m.options.Revisions.Current.Sockets.Listening()); err != nil {
		m.options.Log.Warn("cannot wait for connections, and looks for them again and again", zap.Error(err))
		m.next = now.Add(often)
	}
}

// Listen has the sockets listen where there may be no worker for which somebody else does.
func (m *Meter) Listen() {
	if !m.options.Fleet.Follows() {
		return
	}
	sockets := m.options.Revisions.Current.Sockets
	if err := m.options.Listen(sockets.Shared()); err != nil && m.deaf != sockets {
		m.deaf = sockets
		m.options.Log.Error("cannot listen", zap.Error(err))
	}
}

// ask asks workers to say when they are busy. It reports whether some were asked now, and
// whether some do not say so.
func (m *Meter) ask(workers []*roster.Worker) (more, mute bool) {
	asked := map[int]bool{}
	for _, w := range workers {
		tells := m.asked[w.ID]
		if !tells && w.View().CanTell() && w.Endpoint != nil {
			w.View().SetBusyAt(1)
			tells = w.Endpoint.Look() == nil
			more = more || tells
		}
		asked[w.ID] = tells
		mute = mute || !tells
	}
	m.asked = asked
	return more, mute
}

// roomAt is for how many workers there is memory; 0: that is not known.
func (m *Meter) roomAt(now time.Time) int {
	r := m.options.Revisions.Current
	if r.Config.WorkerMemory > 0 {
		m.options.Stale(now, roomFor)
	}
	m.room = r.Room()
	return m.room
}

// Resized has it look at once if there is memory for more workers, or fewer, than when it
// looked last.
func (m *Meter) Resized() {
	if m.options.Fleet.Follows() && m.options.Revisions.Current.Room() != m.room {
		m.next = time.Now()
	}
}

// Fields say in the log why there are so many workers, where that follows the demand.
func (m *Meter) Fields() []zap.Field {
	s := m.options.Fleet.Sizing()
	if s.Most == 0 {
		return nil
	}
	fields := []zap.Field{zap.Int("in_flight", s.InFlight), zap.Int("waiting", s.Waiting), zap.Int("needed", s.Need), zap.Int("at_least", s.Floor), zap.Int("at_most", s.Most)}
	if s.Room > 0 {
		fields = append(fields, zap.Int("memory_for", s.Room))
	}
	return fields
}
