package fleet

import "time"

// A worker is ready by its word, READY=1, or because of what it looks like from
// outside: it is old enough and waits for connections. Of a worker that has not
// written its header that is a guess. The header that comes later takes it back,
// as if it had come first: from then on only the word of the worker counts. A
// worker that was guessed to be ready and does not outlive ResetAfter never
// really started. The order in which header, word and look arrive makes no
// difference.

// saidReady takes a worker at its word. Where it is ready by its age alone its word
// proves that it is, whether it comes before or after.
func (f *Fleet) saidReady(w *Worker, holds bool) {
	if !w.serving() {
		return
	}
	w.said, w.holds = true, w.holds || holds
	r := f.of(w)
	if r.number == w.Revision {
		r.holds = w.holds
	}
	switch {
	case w.State == Ready:
		f.prove(w)
	case w.Spare() && !w.holds: // it accepts, and goes
	case r.number == w.Revision && (r.Ready != ReadyAlive || w.reserve):
		f.announce(w)
	}
}

// cooperates notes that the worker speaks the protocol: only its READY=1
// counts, and the same is expected of every later worker of its command.
func (f *Fleet) cooperates(w *Worker) {
	w.cooperates = true
	r := f.of(w)
	if r.number == w.Revision {
		r.cooperates = true
	}
	switch {
	case w.State == Starting && r.Ready == ReadyAuto:
		w.aliveAt = time.Time{}
	case w.State != Ready:
	case w.guessed && r.number == w.Revision && r.Ready == ReadyAuto && w.due.After(f.now) && !w.Stuck:
		f.withdraw(w)
	default:
		f.prove(w)
		w.due = time.Time{}
	}
}

// looksReady says whether a worker is to be taken for ready without its word.
func (f *Fleet) looksReady(w *Worker) bool {
	if w.State != Starting || w.aliveAt.IsZero() || w.aliveAt.After(f.now) {
		return false
	}
	r := f.of(w)
	if r.number != w.Revision {
		return false // its reload was given up just now
	}
	return r.Ready == ReadyAlive || r.Ready == ReadyAuto && w.waits && !w.cooperates && !r.cooperates
}

// announce makes a starting worker ready, which is a guess unless its word or its
// header proves it. One that has not written its header may do so until it is due.
func (f *Fleet) announce(w *Worker) {
	w.State, w.guessed = Ready, true
	w.ReadyAt = f.now
	w.aliveAt = time.Time{}
	if w.cooperates {
		w.due = time.Time{}
	} else if by := f.now.Add(f.of(w).ResetAfter); by.After(w.due) {
		w.due = by
	}
	if r := f.of(w); r.number == w.Revision && r.Lifetime > 0 {
		w.expires = f.now.Add(r.Lifetime + time.Duration(f.draw()*float64(r.LifetimeJitter)))
	}
	if f.own(w) && !w.Spare() {
		f.keep(w)
	}
	f.do(Announce{w.ID})
	if w.said || w.cooperates {
		f.prove(w)
	}
}

// prove notes, once, that a ready worker has really started.
func (f *Fleet) prove(w *Worker) {
	if !w.guessed {
		return
	}
	w.guessed = false
	f.started(w)
}

// started forgives the failed boots before a worker that has really started.
func (f *Fleet) started(w *Worker) {
	f.everReady = true
	if s := f.slot(w); s != nil && s.revision == w.Revision {
		s.failures = 0
	}
	if r := f.of(w); r.number == w.Revision {
		r.failures = 0
		f.proveLoader(r)
	}
}

// withdraw takes back that a worker is ready. It has the time that it would have
// had otherwise to say so.
func (f *Fleet) withdraw(w *Worker) {
	w.State, w.guessed = Starting, false
	w.ReadyAt, w.expires = time.Time{}, time.Time{}
	f.do(Withdraw{w.ID})
}

// served says whether some worker is ready or really was once.
func (f *Fleet) served() bool {
	return f.everReady || f.count(func(w *Worker) bool { return w.State == Ready }) > 0
}
