package fleet

import "time"

// looks are what the oracle knows of how a worker became ready.
type looks struct {
	oldAt      time.Time // old enough then to be taken for ready; zero: its program does not run
	waiting    bool      // for connections
	header     bool
	word       bool // it said READY=1
	saidFailed bool // it said that it has
	expected   bool // to write its header: another one of its revision did before it was spawned
	guess      bool // it is ready, and nothing proves that
	exited     bool // in the step under way
}

// see notes what the event tells about the readiness of a worker.
func (o *oracle) see(now time.Time, ev Event) {
	switch ev := ev.(type) {
	case Hopeless:
		if s, known := o.settings[ev.Revision]; known {
			s.StartupAttempts = 1
			o.settings[ev.Revision] = s
		}
	case Exited:
		if w := o.alive[ev.ID]; w != nil {
			w.exited = true
		}
	case Executed:
		if w := o.alive[ev.ID]; w != nil && w.booting() && w.oldAt.IsZero() && !w.reserve {
			w.oldAt = now.Add(max(o.settings[w.Revision].ReadyAfter, 1))
		}
	case Waits:
		if w := o.alive[ev.ID]; w != nil && w.booting() {
			w.waiting = true
		}
	case Cooperates:
		if w := o.alive[ev.ID]; w != nil && !w.exited {
			w.header, o.headers[w.Revision] = true, true
			if w.ready && !w.told && !w.killed && w.aborted.IsZero() && (o.settings[w.Revision].Ready != ReadyAuto || !w.startBy.After(now) || w.stuck) {
				o.proven(w) // whatever it is, it has been ready for long
			}
		}
	case SaidReady:
		if w := o.alive[ev.ID]; w != nil && !w.exited && !w.told && !w.killed && w.aborted.IsZero() {
			w.word, w.holds = true, w.holds || ev.Holds
			o.held[o.settings[w.Revision].Command] = o.held[o.settings[w.Revision].Command] || ev.Holds
			if w.ready {
				o.proven(w)
			} else if o.takenAtWord(w) {
				o.bore(w.Revision)
			}
		}
	}
}

// familiar says whether a worker of the command wrote its header.
func (o *oracle) familiar(command string) bool {
	for revision := range o.headers {
		if o.settings[revision].Command == command {
			return true
		}
	}
	return false
}

// takenAtWord says whether a worker that is booting is ready by its word, which it gave
// in the step under way.
func (o *oracle) takenAtWord(w *life) bool {
	return w.word && (o.settings[w.Revision].Ready != ReadyAlive || w.reserve) && (w.Slot != NoSlot || w.holds)
}

// announced enters a worker as ready, if there is any reason for that.
func (o *oracle) announced(now time.Time, w *life) string {
	s := o.settings[w.Revision]
	old := !w.oldAt.IsZero() && !w.oldAt.After(now)
	switch {
	case o.takenAtWord(w):
	case s.Ready == ReadyAlive && old:
	case s.Ready == ReadyAuto && old && w.waiting && !w.header && !w.expected:
	default:
		return "ready without a reason"
	}
	w.ready, w.readyAt, w.guess = true, now, true
	if by := now.Add(s.ResetAfter); by.After(w.startBy) {
		w.startBy = by
	}
	if w.word || w.header {
		o.proved(w)
		if !o.takenAtWord(w) { // that was heard in its turn
			o.bore(w.Revision)
		}
	}
	return ""
}

// proven notes that a ready worker has really started.
func (o *oracle) proven(w *life) {
	if w.guess {
		w.guess, o.ever = false, true
		o.bore(w.Revision)
		if w.Revision == o.current {
			o.proofs = append(o.proofs, proof{o.event, w.Slot})
		}
	}
}

// proved is proven by what was done, not by an event of which the consequences
// are still to come.
func (o *oracle) proved(w *life) {
	if w.guess = false; w.Revision == o.current {
		o.started(w.Slot)
	}
	o.ever = true
}

// proof is that a worker of a slot has started, by the event of a step with this
// number.
type proof struct{ event, slot int }

// started ends the rows of failed boots.
func (o *oracle) started(slot int) {
	if o.ever = true; slot == NoSlot {
		return
	}
	o.all.boots = 0
	if r := o.rows[slot]; r != nil {
		r.boots = 0
	}
}

// believe takes note of the proofs before an event of the step.
func (o *oracle) believe(before int) {
	for len(o.proofs) > 0 && o.proofs[0].event < before {
		o.started(o.proofs[0].slot)
		o.proofs = o.proofs[1:]
	}
}

// stillborn says whether a worker that goes now was never really ready.
func (o *oracle) stillborn(now time.Time, w *life) bool {
	s := o.settings[w.Revision]
	return w.ready && w.guess && !w.oversized && !w.left && (s.ResetAfter == 0 || now.Sub(w.readyAt) < s.ResetAfter)
}

// served says whether some worker is ready or really was once.
func (o *oracle) served() bool {
	for _, w := range o.alive {
		if w.ready && !w.told && !w.killed && w.aborted.IsZero() {
			return true
		}
	}
	return o.ever
}

// misread looks for a worker whose header, word and looks do not mean what they
// would mean in any other order.
func (o *oracle) misread(now time.Time, late bool) string {
	if o.halted {
		return ""
	}
	for _, w := range o.alive {
		s := o.settings[w.Revision]
		switch {
		case w.saidFailed && w.ended.IsZero():
			return "failed worker taken for a good one"
		case w.told || w.killed || !w.aborted.IsZero():
		case w.ready && w.guess && w.header && s.Ready == ReadyAuto && w.Revision == o.current:
			return "ready against its header"
		case !w.ready && o.takenAtWord(w):
			return "its word does not count"
		case w.ready || late || w.oldAt.IsZero() || w.oldAt.After(now) || !w.startBy.After(now):
		case s.Ready == ReadyAlive, s.Ready == ReadyAuto && w.waiting && !o.familiar(s.Command):
			return "its looks do not count"
		}
	}
	return ""
}
