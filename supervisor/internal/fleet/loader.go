package fleet

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// LoaderState is a stage in the life of a loader.
type LoaderState int

// The states, in the order in which they can follow each other.
const (
	LoaderAbsent   LoaderState = iota // there is none
	LoaderStarting                    // started, and not ready to spawn
	LoaderServing                     // spawns workers
	LoaderStopping                    // told that nobody needs it any more
	LoaderAborted                     // asked for its stacks: the abort signal was sent
	LoaderKilled                      // SIGKILL was sent
)

var loaderStates = [...]string{"absent", "starting", "ready", "stopping", "aborted", "killed"}

// String returns the state in the words of an operator.
func (s LoaderState) String() string { return loaderStates[s] }

// MarshalText and UnmarshalText are how a state is written down.
func (s LoaderState) MarshalText() ([]byte, error) { return []byte(loaderStates[s]), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *LoaderState) UnmarshalText(text []byte) error {
	at := slices.Index(loaderStates[:], string(text))
	if at < 0 {
		return fmt.Errorf("no loader can be %q", text)
	}
	*s = LoaderState(at)
	return nil
}

// Loader is the process that has loaded the application of a revision and spawns the
// workers of it. It is none of the workers, and its end is none of theirs.
type Loader struct {
	Revision   int         `state:"revision"`
	Generation int         `state:"generation"`
	State      LoaderState `state:"state"`
	Started    time.Time   `state:"started"`
	ReadyAt    time.Time   `state:"ready_at"` // zero: was never ready

	hung     bool      `state:"hung"`     // does not answer
	due      time.Time `state:"due"`      // when the present state is escalated; zero: never
	unloaded bool      `state:"unloaded"` // its end was asked for
	blamed   bool      `state:"blamed"`   // its end was counted against its revision
	unproven bool      `state:"unproven"` // no worker of its revision has really started since it was ready, as far as versions before did not leave that unsaid
}

// loads is how the loaders of a revision fare.
type loads struct {
	crashes  int       `state:"crashes"`  // ends that nobody asked for, within reset_after of each other
	failures int       `state:"failures"` // that failed to start in a row, with no worker between them that really started
	until    time.Time `state:"until"`    // none is started before
}

// loaded says whether workers of the revision may be spawned. If all that they lack is a
// loader, one will be started in this step; why is the reason of the spawn.
func (f *Fleet) loaded(r *revision, why Reason) bool {
	if !r.Preload || f.Loader(r.number).State == LoaderServing {
		return true
	}
	if !slices.ContainsFunc(f.wanted, func(l Load) bool { return l.Revision == r.number }) {
		generation := r.generation
		if r == f.candidate {
			generation = f.generations + 1
		}
		f.wanted = append(f.wanted, Load{r.number, generation, why})
	}
	return false
}

// load starts the loaders without which workers cannot be spawned. That of a reload waits
// for the end of one that was still loading for another, whose place it takes: however many
// reloads follow each other, no more than that load at a time.
func (f *Fleet) load() {
	for _, l := range f.wanted {
		r := f.revision(l.Revision)
		if f.loader(l.Revision) != nil || r.loads.until.After(f.now) {
			continue
		}
		if r == f.candidate && f.superseded() {
			continue
		}
		f.loaders = append(f.loaders, &Loader{
			Revision: l.Revision, Generation: l.Generation, State: LoaderStarting, Started: f.now, due: f.now.Add(r.StartupTimeout),
		})
		f.do(l)
	}
}

// superseded says whether a loader is still to end that was never ready, and whose revision
// nobody tries any more. SIGKILL may not end it, and is enough.
func (f *Fleet) superseded() bool {
	return slices.ContainsFunc(f.loaders, func(l *Loader) bool {
		return l.ReadyAt.IsZero() && l.State != LoaderKilled && f.revision(l.Revision) == nil
	})
}

// unload tells the loaders to end of which no worker will be spawned any more.
func (f *Fleet) unload() {
	for _, l := range f.loaders {
		needed := !f.stopping && f.revision(l.Revision) != nil
		if !needed && !l.unloaded {
			f.tellLoader(l)
		}
		ends := l.State == LoaderStopping || l.State == LoaderAborted
		if f.stopping && ends {
			l.due = sooner(l.due, f.stopBy)
		}
		if ends && !l.due.After(f.now) {
			f.killLoader(l)
		}
		if end := f.stopBy.Add(KillGrace); f.stopping && l.State == LoaderKilled && end.After(f.now) {
			l.due = end
		}
	}
}

// tellLoader tells a loader that nobody needs it any more.
func (f *Fleet) tellLoader(l *Loader) {
	l.unloaded = true
	if l.State == LoaderAborted || l.State == LoaderKilled {
		return
	}
	l.State, l.due = LoaderStopping, f.now.Add(UnloadGrace)
	why := ReasonReload
	switch {
	case f.Stopping():
		why = ReasonStop
	case l.Revision > f.current.number && f.candidate == nil:
		why = ReasonRollback
	}
	f.do(Unload{l.Revision, why})
}

// abortLoader asks a loader that hangs for its stacks before it is killed. That counts as
// an end of its own.
func (f *Fleet) abortLoader(l *Loader, why Reason) {
	f.blameLoader(l)
	l.State, l.due = LoaderAborted, f.now.Add(AbortGrace)
	f.do(AbortLoader{l.Revision, why})
}

// killLoader ends a loader that has had its time.
func (f *Fleet) killLoader(l *Loader) {
	l.State, l.due = LoaderKilled, time.Time{}
	f.do(KillLoader{l.Revision})
}

// abortHung has an end made of the loaders that hang and whose exit was not among the news.
func (f *Fleet) abortHung() {
	for _, l := range f.loaders {
		if l.hung && l.State == LoaderServing {
			f.abortLoader(l, ReasonWatchdog)
		}
	}
}

// escalateLoaders does to every loader whose time is over what comes next for it, but
// for those that [Fleet.unload] ends.
func (f *Fleet) escalateLoaders() {
	for _, l := range f.loaders {
		if l.due.IsZero() || l.due.After(f.now) {
			continue
		}
		switch l.State {
		case LoaderStarting:
			f.abortLoader(l, ReasonStartup)
		case LoaderKilled:
			l.due = time.Time{} // nothing more can be done
		}
	}
}

// loaderReady notes that workers may be spawned. Whether they start is still to be seen.
func (f *Fleet) loaderReady(l *Loader) {
	if l.State != LoaderStarting {
		return
	}
	l.State, l.ReadyAt, l.due, l.unproven = LoaderServing, f.now, time.Time{}, true
}

// proveLoader notes that a worker of the revision has really started: loaders of it are of
// use.
func (f *Fleet) proveLoader(r *revision) {
	r.loads.failures = 0
	if l := f.loader(r.number); l != nil {
		l.unproven = false
	}
}

// unloadable says whether so many loaders of the revision have failed in a row, and nobody
// is left of those that they made who may still show that they were of use.
func (f *Fleet) unloadable(r *revision, failures int) bool {
	return r.loads.failures >= failures && !slices.ContainsFunc(f.workers, func(w *Worker) bool {
		return w.Revision == r.number && !w.blamed && !w.unkillable && (w.ReadyAt.IsZero() || w.guessed)
	})
}

// loaderExited removes a loader that is gone, and draws the lesson of its end.
func (f *Fleet) loaderExited(l *Loader) {
	f.blameLoader(l)
	f.loaders = slices.DeleteFunc(f.loaders, func(x *Loader) bool { return x == l })
}

// blameLoader counts an end nobody asked for against the revision of a loader, and draws
// how long it has to wait for another one.
func (f *Fleet) blameLoader(l *Loader) {
	r := f.revision(l.Revision)
	if l.unloaded || l.blamed || r == nil {
		return
	}
	l.blamed = true
	if l.ReadyAt.IsZero() || l.unproven {
		r.loads.failures++
	}
	if long := r.ResetAfter; long > 0 && !l.ReadyAt.IsZero() && f.now.Sub(l.ReadyAt) >= long {
		r.loads.crashes = 0
	}
	if r.loads.crashes++; r.loads.crashes >= 2 {
		r.loads.until = f.now.Add(f.backoff(r, r.loads.crashes-2))
	}
}

// revision returns the one with the number of which workers may be spawned, or nil.
func (f *Fleet) revision(number int) *revision {
	for _, r := range []*revision{f.current, f.fallback, f.candidate} {
		if r != nil && r.number == number {
			return r
		}
	}
	return nil
}

// loader returns the living loader of the revision, or nil.
func (f *Fleet) loader(revision int) *Loader {
	for _, l := range f.loaders {
		if l.Revision == revision {
			return l
		}
	}
	return nil
}

// Loader returns a copy of the living loader of a revision. Where there is none it is
// [LoaderAbsent].
func (f *Fleet) Loader(revision int) Loader {
	if l := f.loader(revision); l != nil {
		return *l
	}
	return Loader{Revision: revision}
}

// Loaders yields a copy of each living loader. There is no step meanwhile.
func (f *Fleet) Loaders() iter.Seq[Loader] {
	return func(yield func(Loader) bool) {
		for _, l := range f.loaders {
			if !yield(*l) {
				return
			}
		}
	}
}
