package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// oracle holds the brain to the laws of doc.go. It sees what the loop sees,
// events in and actions out, and keeps its own books.
type oracle struct {
	settings  map[int]Settings
	current   int          // revision in force
	ever      bool         // some worker was ready and did not prove to be none
	up        bool         // every slot had a ready worker once
	closed    bool         // the stop has begun
	reloads   map[int]bool // asked for and not ended
	alive     map[int]*life
	crashes   map[[2]int]*crashes // by slot and revision
	all       row                 // of the current revision
	rows      map[int]*row        // the same of one slot alone
	stepped   time.Time           // when the last step was
	rollout   bool
	delay     time.Time // until when a stop waits; zero: it does not, or there is none
	stopAt    time.Time // when a stop must be over; zero: none
	closeBy   time.Time // until when everybody has at most, once the stop has begun; zero: it has not
	unsure    bool      // whether a stop waits is seen by what the brain does
	quick     bool      // it is a quick one
	halted    bool
	moved     bool           // the last step was about more than time, as the brain says
	next      time.Time      // last deadline
	lateAt    time.Time      // last late step
	lateFrom  time.Time      // first of a row of late steps; zero: there is none
	prev      map[int]bool   // told or aborted before this step
	headers   map[int]bool   // revisions one of whose workers wrote its header
	event     int            // number of the event under way
	proofs    []proof        // not yet believed
	fallback  int            // that a rollout may be given up for; 0: none
	candidate int            // asked for, and not decided on; 0: none
	nurses    map[int]*nurse // by revision
	tries     map[int]*tries // the same
	tenures
	extent
	reserves
	space
	watching
	granted map[int]time.Time // when a worker of the slot was replaced last because it wished it
}

type life struct {
	Worker
	reason    Reason
	ready     bool
	told      bool
	toldAt    time.Time
	killed    bool
	killedAt  time.Time
	undead    bool      // SIGKILL has not ended it
	namedAt   time.Time // when that was said last
	aborted   time.Time // or, where that was postponed, two seconds before SIGKILL at the latest
	readyAt   time.Time
	ended     time.Time // killed or gone, when counted as a crash
	nth       int       // crash of its slot; 0: not counted
	until     time.Time // of its retirement
	bound     time.Time // of until
	startBy   time.Time
	recycling bool
	wished    time.Time // since when it wants to be replaced; zero: it does not, or that was decided
	oversized bool
	seen      time.Time // since when each look says that it is stuck; zero: it is not
	stuck     bool      // long enough for it to be acted on
	found     bool      // what the brain said of it
	innocents int
	reserve   bool      // it was started as a spare
	takenAt   time.Time // when it got its slot, if it was one
	looks
	stay stay
}

// booting says whether the worker is starting.
func (w *life) booting() bool { return !w.ready && !w.told && !w.killed && w.aborted.IsZero() }

type crashes struct {
	n     int
	until time.Time
}

func newOracle(number int, s Settings) *oracle {
	o := &oracle{
		settings: map[int]Settings{number: s}, current: number,
		reserves: reserves{held: map[string]bool{}}, tenures: newTenures(), nurses: map[int]*nurse{}, tries: map[int]*tries{},
		reloads: map[int]bool{}, headers: map[int]bool{}, alive: map[int]*life{}, crashes: map[[2]int]*crashes{}, rows: map[int]*row{}, granted: map[int]time.Time{},
	}
	o.floor, o.scales = s.Workers, map[int]int{}
	o.retarget(s.Workers)
	return o
}

func (o *oracle) surge() int { return o.settings[o.current].Surge.Of(o.target) }

func (o *oracle) limit() int { return o.target + o.surge() + o.settings[o.current].Spares }

// check steps the brain and returns the name of the law it broke, or "".
func (o *oracle) check(f *Fleet, now time.Time, events ...Event) (actions []Action, broken string) {
	defer func() {
		if p := recover(); p != nil {
			broken = fmt.Sprint("panic: ", p)
		}
	}()
	o.brain = f
	o.leaveOff(f)
	late := o.late(now, events)
	if by := now.Sub(o.next); !o.next.IsZero() && by > Lateness && !o.stopAt.IsZero() {
		o.stopAt = o.stopAt.Add(by)
	}
	o.prev, o.cleared, o.taken = map[int]bool{}, nil, map[int]bool{}
	for id, w := range o.alive {
		o.prev[id] = w.told || !w.aborted.IsZero()
	}
	o.credit(now)
	for i, ev := range events {
		o.event = i
		o.before(now, ev, late)
	}
	if late {
		o.postpone(now)
	}
	if !o.delay.IsZero() && !o.delay.After(now) {
		o.stopAt = o.stopAt.Add(now.Sub(o.delay))
		o.close(now.Add(o.settings[o.current].GracefulTimeout))
	}
	if !late {
		broken = o.order(f, now, events)
	}
	actions = f.Step(now, events...)
	if o.unsure {
		o.unsure = false
		o.stop(now, false, !f.stopAt.IsZero())
	}
	o.moved, o.emptied, o.canary = f.Moved(), -1, 0
	if c := f.candidate; c != nil {
		o.emptied, o.canary = c.canarySlot, c.canary
	}
	if broken != "" {
		return actions, broken
	}
	for _, a := range actions {
		if broken = o.action(now, events, a, late); broken != "" {
			return actions, broken
		}
	}
	o.believe(len(events))
	if broken = cmp.Or(o.overdue(now), o.neglected(now), o.misread(now, late), o.wishes(f, now), o.spent(f), o.sized(f, now, events)); broken != "" {
		return actions, broken
	}
	if broken = cmp.Or(o.condition(f, now), o.heldBack(f, now), o.patient(now)); broken != "" {
		return actions, broken
	}
	var ok bool
	if o.next, ok = f.Deadline(); ok && !o.next.After(now) {
		return actions, "deadline in the past"
	}
	if o.forgotten(now) {
		return actions, "loader forgotten"
	}
	ages := slices.ContainsFunc(f.workers, func(w *Worker) bool {
		return w.expires.Equal(o.next) || f.grantAt(w).Equal(o.next) || w.State == Killed && w.due.Equal(o.next) || w.State == Ready && w.due.Equal(o.next)
	})
	ages = ages || f.overlap.waits && o.next.Equal(f.overlap.told.Add(RoomEvery))
	ages = ages || slices.ContainsFunc(f.remains, func(one *remains) bool { return one.due.Equal(o.next) })
	if ok && !ages && f.Horizon().Before(o.next) {
		return actions, "horizon before the next deadline"
	}
	more := f.Step(now, Tick{})
	o.next, _ = f.Deadline() // what is not wanted any more is not waited for
	for _, a := range more {
		if broken = o.action(now, nil, a, late); broken != "" {
			return append(actions, more...), broken
		}
	}
	if len(more) > 0 {
		return append(actions, more...), "not quiescent"
	}
	return actions, ""
}

// before notes what the event will have changed by the time of the actions.
func (o *oracle) before(now time.Time, ev Event, late bool) {
	o.hear(now, ev)
	switch ev := ev.(type) {
	case Reload:
		o.settings[ev.Revision], o.reloads[ev.Revision] = ev.Settings, true
		if o.stopAt.IsZero() && !o.closed {
			o.candidate = ev.Revision
		}
	case Recycle:
		if w := o.alive[ev.ID]; w != nil && !w.told {
			w.recycling = true
		}
	case Wish:
		if w := o.alive[ev.ID]; w != nil && !w.told && !w.killed && w.aborted.IsZero() && w.wished.IsZero() {
			w.wished, w.recycling = now, true
		}
	case Looked:
		for _, sight := range ev.Sights {
			if w := o.alive[sight.ID]; w != nil && (w.ready || w.told) && w.aborted.IsZero() && !w.killed {
				o.look(now, w, sight, late)
			}
		}
	case Cleared:
		o.clear(ev.ID)
	case Oversized:
		if w := o.alive[ev.ID]; w != nil && !w.exited {
			w.oversized = true
		}
	case Extend:
		if w := o.alive[ev.ID]; w != nil && (w.booting() && !o.takenAtWord(w) || w.guess) && now.Add(ev.By).After(w.startBy) {
			w.startBy = now.Add(ev.By)
		}
	case SaidStopping:
		if w := o.alive[ev.ID]; w != nil && !w.told && w.aborted.IsZero() {
			w.left = true
			o.leaves(now, w)
		}
	case SaidFailed:
		o.hearFailed(now, o.alive[ev.ID])
	case Stop:
		o.asked(now, ev.Quick)
		o.candidate, o.fallback = 0, 0
	}
}

// overdue looks for a worker that ought to have been escalated by now.
func (o *oracle) overdue(now time.Time) string {
	if o.halted {
		return ""
	}
	for _, w := range o.alive {
		switch {
		case w.killed:
		case w.oversized:
			return "oversized worker left alive"
		case w.aborted.IsZero() && w.stuck && !w.found:
			return "what looks saw for so long was not acted on"
		case w.aborted.IsZero() && w.found && !w.stuck:
			return "held to be stuck when it no longer was"
		case w.told && w.aborted.IsZero() && !w.until.After(now):
			return "told to stop and not killed in time"
		case !w.aborted.IsZero() && !w.aborted.Add(AbortGrace).After(now):
			return "aborted and not killed in time"
		case !w.told && w.aborted.IsZero() && !o.serving():
			return "stop did not begin in time"
		case w.stuck && !w.told && o.serving() && !o.relieved(w) && !o.weighing(now):
			return "stuck worker left alone"
		case !w.told && !w.ready && w.aborted.IsZero() && !w.startBy.After(now):
			return "startup timeout ignored"
		}
	}
	if !o.stopAt.IsZero() && now.After(o.stopAt) {
		return "stop outlived its grace"
	}
	if !o.delay.IsZero() && o.abandoned(now) {
		return "crash not replaced during the delay"
	}
	if o.rollout && o.stopAt.IsZero() && o.fails() {
		return "failing revision not rolled back"
	}
	return ""
}

// servers counts the announced, untold workers of a slot other than id.
func (o *oracle) servers(slot, id int) (n int) {
	for _, w := range o.alive {
		if w.Slot == slot && w.ready && !w.told && !w.killed && w.ID != id {
			n++
		}
	}
	return n
}

// spare returns how many processes could be spawned beside those for the
// slots in which nobody serves.
func (o *oracle) spare() int {
	n := o.vacant()
	for slot := range o.slots() {
		if o.servers(slot, 0) == 0 {
			n--
		}
	}
	return n
}

func (o *oracle) spawned(now time.Time, a Spawn) string {
	w := a.Worker
	s := o.settings[w.Revision]
	if !o.forks(w.Revision) {
		return "spawn without a ready loader"
	}
	if spawns, own := reasons[a.Reason]; own && !spawns || a.Reason == "" || a.Reason == ReasonStart && o.up && !o.bereft[w.Slot] {
		return "spawned for a reason that spawns nobody"
	}
	if w.Slot != NoSlot && w.Revision == o.current && !o.served() && !o.pioneers(w.Slot) {
		return "several slots tried again before anything was ready"
	}
	if o.counted()+1 > o.limit() || w.Slot != NoSlot && o.vacant() <= 0 {
		return "more than workers + surge alive"
	}
	booting := 1
	for _, other := range o.alive {
		if other.Place == w.Place {
			return "place shared"
		}
		if other.booting() {
			booting++
		}
	}
	if w.Slot != NoSlot && !o.fills(w.Slot) || w.Place < 0 || w.Place >= o.limit()+o.undeads() {
		return "slot or place out of range"
	}
	if p := o.settings[o.current].StartParallel; p > 0 && booting > p {
		return "more boots at once than start_parallel"
	}
	if c := o.crashes[[2]int{w.Slot, w.Revision}]; c != nil && c.until.After(now) {
		return "spawn inside a backoff"
	}
	if !o.delay.IsZero() && o.servers(w.Slot, 0) > 0 && a.Reason != ReasonTimeout && a.Reason != ReasonWatchdog {
		return "replaced during the delay"
	}
	if broken := o.leased(now, w); broken != "" {
		return broken
	}
	if broken := o.squeezed(now, w); broken != "" {
		return broken
	}
	o.begun[w.Slot] = true
	delete(o.bereft, w.Slot)
	o.alive[w.ID] = &life{Worker: w, reason: a.Reason, startBy: now.Add(s.StartupTimeout), reserve: w.Slot == NoSlot}
	o.alive[w.ID].expected = o.headers[w.Revision]
	if w.Slot == NoSlot {
		return o.spareSpawned(now, w)
	}
	if a.Reason == ReasonLifetime && !o.aged(now, w.Slot) {
		return "replaced before its lifetime was over"
	}
	if recycling(a.Reason) && o.replacements() > max(1, o.surge()) {
		return "more replacements at once than surge"
	}
	return ""
}
