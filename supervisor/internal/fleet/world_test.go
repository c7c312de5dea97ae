package fleet

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/guard"
)

// kind is how the workers of a revision behave.
type kind int

const (
	good     kind = iota // ready soon, lives until told
	broken               // exits while starting
	hanging              // never ready
	crashing             // ready, then exits on its own
	flaky                // half of the boots fail
)

// world is a random environment around a brain: processes that boot, serve,
// ignore signals and die, an operator who scales, reloads and stops, and a
// loop that is sometimes late. It runs until it stops, breaks a law, or has
// shown that it converges.
type world struct {
	r       *rand.Rand
	now     time.Time
	fleet   *Fleet
	oracle  *oracle
	queue   timeline
	kinds   map[int]kind    // by revision
	cradles map[int]*cradle // the same
	manners map[int]manners
	lastRev int
	guard   *guard.Guard
	limits  map[int]guard.Limits // by revision
	hung    map[int]hang         // workers that hang, by id
	visible map[int]time.Time    // since when that can be seen; zero: it cannot
	ailments
	crowd
	larder
	weary int  // so many of ten workers wish to be replaced
	calm  bool // from now on everything behaves
	tardy bool // the loop is late again and again
	steps int
	log   []string // last steps, for the report
}

func newWorld(r *rand.Rand) *world {
	w := &world{
		r: r, now: time.Unix(1_000_000, 0), lastRev: 1,
		kinds: map[int]kind{}, manners: map[int]manners{}, hung: map[int]hang{}, limits: map[int]guard.Limits{}, visible: map[int]time.Time{}, tardy: r.IntN(8) == 0,
		weary: max(r.IntN(20)-10, 1), crowd: crowd{rivers: rivers{map[int]int{}}},
		ailments: ailments{sick: map[int]time.Time{}, murmurs: map[int]time.Time{}, alone: map[int]time.Time{}},
	}
	s := w.settings()
	w.kinds[1] = w.pick(8, 1, 1, 1, 1)
	w.cradles = map[int]*cradle{1: w.cradleFor()}
	w.manners[1], w.limits[1] = w.mannersFor(s), limitsFor(r)
	w.guard = guard.New(func() int64 { return w.now.UnixNano() })
	w.stock()
	w.fleet = New(1, s, w.r.Float64)
	w.oracle = newOracle(1, s)
	return w
}

func (w *world) settings() Settings {
	s := Settings{
		Command: fmt.Sprint("c", w.r.IntN(2)), Workers: 1 + w.r.IntN(5), Surge: Surge{Count: w.r.IntN(4)},
		Ready: ReadyMode(w.r.IntN(3)), ReadyAfter: w.ms(1500),
		GracefulTimeout: w.ms(4000), DrainTimeout: w.ms(6000), StartupTimeout: 500*time.Millisecond + w.ms(5000),
		BackoffMin: 100 * time.Millisecond, BackoffMax: 3 * time.Second, ResetAfter: w.ms(4000), StartupAttempts: 1 + w.r.IntN(4),
	}
	s.ReadyAfter = min(s.ReadyAfter, s.StartupTimeout-100*time.Millisecond)
	if w.r.IntN(4) == 0 {
		s.Surge = Surge{Percent: 1 + w.r.IntN(100)}
	}
	w.stretch(&s)
	s.Leases = w.leases(s.Workers)
	s.Preload, s.Private = w.r.IntN(3) == 0, w.r.IntN(4) == 0
	w.bound(&s)
	if w.r.IntN(4) == 0 {
		s.StartParallel = 1 + w.r.IntN(2)
	}
	if w.r.IntN(8) == 0 {
		s.GracefulTimeout, s.DrainTimeout = 0, 0
	}
	if w.r.IntN(4) == 0 {
		s.Lifetime, s.LifetimeJitter = 30*time.Second+w.ms(40_000), w.ms(10_000)
	}
	if w.r.IntN(8) == 0 {
		s.ResetAfter = 0
	}
	if w.r.IntN(2) == 0 {
		s.StopDelay = w.ms(5000)
	}
	return s
}

// run plays at most so many steps and returns the law that was broken, or "".
func (w *world) run(steps int) string {
	if broken := w.step(Tick{}); broken != "" {
		return broken
	}
	for range steps {
		if w.oracle.halted {
			return ""
		}
		if w.r.IntN(25) == 0 {
			w.meddle()
		}
		if broken := w.next(); broken != "" {
			return broken
		}
	}
	return w.converge()
}

// next delivers the next event or lets time pass until the brain's deadline,
// sometimes much too late.
func (w *world) next() string {
	deadline, ok := w.fleet.Deadline()
	if due := w.guard.Next(); !due.IsZero() && (!ok || due.Before(deadline)) && (len(w.queue) == 0 || !w.queue[0].at.Before(due)) {
		if due.After(w.now) {
			w.now = due
		}
		w.delay(5)
		return w.look(due)
	}
	if due := w.tellBy(); !due.IsZero() && (!ok || due.Before(deadline)) && (len(w.queue) == 0 || !w.queue[0].at.Before(due)) {
		return w.tellDemand(due)
	}
	if len(w.queue) > 0 && (!ok || w.queue[0].at.Before(deadline)) {
		e := w.pop()
		if e.at.After(w.now) {
			w.now = e.at
		}
		w.delay(5)
		events := []Event{e.ev}
		for len(w.queue) > 0 && !w.queue[0].at.After(w.now) && w.r.IntN(3) == 0 {
			events = append(events, w.pop().ev)
		}
		return w.step(events...)
	}
	if !ok {
		w.now = w.now.Add(time.Second)
		return w.step(Tick{})
	}
	if deadline.After(w.now) {
		w.now = deadline
	}
	if !w.calm && w.r.IntN(200) == 0 {
		w.now = w.now.Add(w.ms(8000))
	}
	w.delay(2)
	return w.step(Tick{})
}

func (w *world) step(events ...Event) string {
	w.steps++
	w.murmur()
	actions, broken := w.oracle.check(w.fleet, w.now, events...)
	if w.oracle.moved {
		w.guard.Keep(w.now, w.charges())
	}
	if broken == "" {
		broken = w.unseen()
	}
	if broken == "" {
		broken = w.judgeFailing(actions)
	}
	if w.calm && len(actions) == 0 && broken == "" {
		switch events[0].(type) {
		case Tick, Looked:
			return ""
		}
	}
	if len(w.log) > 60 {
		w.log = w.log[30:]
	}
	w.log = append(w.log, fmt.Sprintf("%v %s -> %s", w.now.Sub(time.Unix(1_000_000, 0)), tell(events), describe(actions)))
	for _, a := range actions {
		if r, is := a.(Rescale); is && broken == "" {
			broken = w.sway(r)
		}
		w.perform(a)
	}
	for _, ev := range events {
		if e, ok := ev.(Exited); ok {
			delete(w.hung, e.ID)
			delete(w.visible, e.ID)
			delete(w.sick, e.ID)
			delete(w.alone, e.ID)
			w.guard.Forget(e.ID)
			w.clear(e.ID)
		} else if e, ok := ev.(SpawnFailed); ok {
			w.clear(e.ID)
		}
	}
	return broken
}

// perform is what the processes make of an action.
func (w *world) perform(a Action) {
	switch a := a.(type) {
	case Spawn:
		if w.oracle.preloaded(a.Worker.Revision) {
			w.fork(a.Worker)
		} else {
			w.live(a.Worker)
		}
	case Load:
		w.bear(a)
	case Unload:
		w.leave(a.Revision)
	case Weigh:
		w.weigh()
	case AbortLoader:
		if w.calm || w.r.IntN(2) == 0 {
			w.afterLoad(w.ms(1500), a.Revision, LoaderExited{a.Revision})
		}
	case KillLoader:
		if w.calm || w.r.IntN(50) > 0 {
			w.afterLoad(w.ms(30), a.Revision, LoaderExited(a))
		} else {
			w.afterLoad(w.ms(9000), a.Revision, LoaderExited(a))
		}
	case Retire:
		switch n := w.r.IntN(10); {
		case w.calm || n < 6:
			w.after(w.ms(800), Exited{a.ID})
		case n < 8:
			w.after(w.ms(8000), Exited{a.ID})
		}
	case Abort:
		if w.calm || w.r.IntN(2) == 0 {
			w.after(w.ms(1500), Exited{a.ID})
		}
	case Kill:
		if w.calm || w.r.IntN(50) > 0 {
			w.after(w.ms(30), Exited{a.ID})
		} else {
			w.after(w.ms(9000), Exited{a.ID})
		}
	}
}

// live schedules the life of a new worker.
func (w *world) live(x Worker) {
	boot := w.ms(900)
	w.after(w.ms(50), Executed{x.ID})
	kind := w.kinds[x.Revision]
	if kind == flaky && w.r.IntN(2) == 0 {
		kind = broken
	}
	switch kind {
	case broken:
		end := w.ms(400)
		if !w.calm && w.r.IntN(3) == 0 {
			w.after(end, Hopeless{x.Revision})
		}
		w.after(end, Exited{x.ID})
		return
	case hanging:
		if w.r.IntN(3) == 0 {
			w.after(w.ms(100), Cooperates{x.ID})
		}
		return
	case crashing:
		w.after(boot+w.ms(3000), Exited{x.ID})
	}
	if w.calm {
		boot = w.ms(300)
	}
	w.show(x, boot)
	if !w.calm && w.r.IntN(5) == 0 {
		w.after(boot+w.ms(9000), Recycle{x.ID, "max_requests"})
	}
	if !w.calm && w.r.IntN(10) < w.weary {
		w.after(w.ms(int(boot/time.Millisecond)+2000), Wish{x.ID, wished})
	}
}

// meddle is the operator, chance and malice.
func (w *world) meddle() {
	id := 1 + w.r.IntN(w.fleet.lastID+1)
	switch w.r.IntN(22) {
	case 0, 1:
		w.resize()
	case 2, 3, 4:
		w.reload(w.pick(6, 1, 1, 2, 4))
	case 5, 6:
		w.after(0, Exited{id})
	case 7, 8:
		w.after(0, Recycle{id, "max_requests"})
	case 9:
		w.after(0, w.farewell(id))
		w.after(w.ms(9000), Exited{id})
	case 10:
		w.after(0, Extend{id, w.ms(9000)})
	case 11:
		w.after(0, w.word(id))
		w.after(w.ms(500), Waits{id})
	case 12:
		for x := range w.fleet.Workers() {
			w.after(0, Recycle{x.ID, "recycle"})
		}
	case 13:
		w.after(0, Executed{id})
		w.after(0, Cooperates{id})
	case 14:
		w.flock()
	case 16, 17:
		if alive := w.fleet.workers; len(alive) > 0 {
			w.hang(alive[w.r.IntN(len(alive))], w.r.IntN(3))
		}
	case 19, 20:
		w.molest()
	case 21:
		if w.r.IntN(3) == 0 {
			w.fail()
		} else if alive := w.fleet.workers; len(alive) > 0 {
			for range 1 + w.r.IntN(2) {
				w.sicken(alive[w.r.IntN(len(alive))].ID)
			}
		}
	case 18:
		w.after(0, Oversized{id})
	case 15:
		if w.r.IntN(6) == 0 {
			w.after(0, Stop{Quick: w.r.IntN(3) == 0})
			w.after(w.ms(9000), Stop{Quick: w.r.IntN(2) == 0})
			for _, x := range w.fleet.workers { // what ends them is stuck requests, often
				w.hang(x, w.r.IntN(2))
			}
		}
	}
}

func (w *world) reload(k kind) {
	w.lastRev++
	s := w.settings()
	w.kinds[w.lastRev], w.manners[w.lastRev], w.limits[w.lastRev] = k, w.mannersFor(s), limitsFor(w.r)
	w.cradles[w.lastRev] = w.cradleFor()
	if w.calm {
		w.cradles[w.lastRev].kind = good
	}
	w.after(0, Reload{w.lastRev, s})
}
