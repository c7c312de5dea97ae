package fleet

import "time"

// nurse is what the oracle knows of a loader.
type nurse struct {
	startBy time.Time
	ready   bool
	readyAt time.Time
	told    bool
	until   time.Time // it has to be gone or killed then
	aborted bool
	killed  bool
	hung    bool
	counted bool
	used    bool // a worker of its revision has really started since it was ready
}

// tries is how the loaders of a revision fare.
type tries struct {
	crashes, failures int
	until             time.Time // none may be started before
	latest            time.Time // and one may have to wait until then
}

// preloaded says whether a loader spawns the workers of the revision.
func (o *oracle) preloaded(revision int) bool { return o.settings[revision].Preload }

// forks says whether workers of the revision can be spawned as far as its loader goes.
func (o *oracle) forks(revision int) bool {
	l := o.nurses[revision]
	return !o.preloaded(revision) || l != nil && l.ready && !l.ends()
}

// ends says whether something was done already to end the loader.
func (l *nurse) ends() bool { return l.told || l.aborted || l.killed }

// loads says whether workers of the revision in force have to wait for a loader that is
// on its way, or may not be yet.
func (o *oracle) loads(now time.Time) bool {
	return !o.forks(o.current) && (o.nurses[o.current] != nil || o.triesOf(o.current).latest.After(now))
}

// useful says whether workers of the revision may be spawned.
func (o *oracle) useful(revision int) bool {
	return !o.closed && o.serving() && (revision == o.current || revision == o.fallback || revision == o.candidate)
}

func (o *oracle) triesOf(revision int) *tries {
	if o.tries[revision] == nil {
		o.tries[revision] = &tries{}
	}
	return o.tries[revision]
}

// hearLoader notes what an event about a loader will have changed by the time of the
// actions.
func (o *oracle) hearLoader(now time.Time, ev Event) {
	switch ev := ev.(type) {
	case LoaderReady:
		if l := o.nurses[ev.Revision]; l != nil && !l.ends() && !l.ready {
			l.ready, l.readyAt = true, now
		}
	case LoaderExited:
		if l := o.nurses[ev.Revision]; l != nil {
			o.countLoader(now, ev.Revision, l)
			delete(o.nurses, ev.Revision)
		}
	case LoaderHung:
		if l := o.nurses[ev.Revision]; l != nil && l.ready && !l.ends() {
			l.hung = true
		}
	case LoaderExtended:
		if l := o.nurses[ev.Revision]; l != nil && !l.ready && !l.aborted && now.Add(ev.By).After(l.startBy) {
			l.startBy = now.Add(ev.By)
		}
	}
}

// bore notes that a worker of the revision has really started, so that its loader has as well,
// if it is ready, and no row of failures is left before it.
func (o *oracle) bore(revision int) {
	o.triesOf(revision).failures = 0
	if l := o.nurses[revision]; l != nil && l.ready {
		l.used = true
	}
}

// countLoader enters an end that nobody asked for.
func (o *oracle) countLoader(now time.Time, revision int, l *nurse) {
	if l.told || l.counted {
		return
	}
	l.counted = true
	t, s := o.triesOf(revision), o.settings[revision]
	if !l.used {
		t.failures++
	}
	if l.ready && s.ResetAfter > 0 && now.Sub(l.readyAt) >= s.ResetAfter {
		t.crashes = 0
	}
	if t.crashes++; t.crashes >= 2 {
		t.until, t.latest = now.Add(s.BackoffMin/2), now.Add(s.BackoffMax)
	}
}

// loaded checks the start of a loader.
func (o *oracle) loaded(now time.Time, a Load) string {
	switch {
	case o.nurses[a.Revision] != nil:
		return "two loaders of a revision"
	case !o.preloaded(a.Revision):
		return "loader of a revision that needs none"
	case !o.useful(a.Revision):
		return "loader started that nobody needs"
	case o.triesOf(a.Revision).until.After(now):
		return "loader started inside a backoff"
	case a.Revision == o.candidate && o.superseded():
		return "loader started beside one that it takes the place of"
	case a.Revision == o.current && len(o.reloads) == 0 && o.stopAt.IsZero() && !o.served() && o.unloadable(o.current):
		return "loader started after as many have failed as may"
	}
	o.nurses[a.Revision] = &nurse{startBy: now.Add(o.settings[a.Revision].StartupTimeout)}
	return ""
}

// superseded says whether a loader is to end that was loading for a reload before this one.
func (o *oracle) superseded() bool {
	for revision, l := range o.nurses {
		if !l.ready && !l.killed && !o.useful(revision) {
			return true
		}
	}
	return false
}

// unloaded checks that a loader is told to end.
func (o *oracle) unloaded(now time.Time, a Unload) string {
	l := o.nurses[a.Revision]
	switch {
	case l == nil || l.ends():
		return "acted on the dead"
	case o.useful(a.Revision):
		return "loader ended that is needed"
	}
	l.told, l.until = true, now.Add(UnloadGrace)
	return ""
}

// loaderAborted checks that a loader is asked for its stacks.
func (o *oracle) loaderAborted(now time.Time, a AbortLoader, late bool) string {
	l := o.nurses[a.Revision]
	if l == nil || l.ends() {
		return "acted on the dead"
	}
	switch {
	case l.hung:
	case late:
		return "late loop punished"
	case l.ready || l.startBy.After(now):
		return "loader aborted without need"
	}
	l.aborted, l.until = true, now.Add(AbortGrace)
	o.countLoader(now, a.Revision, l)
	return ""
}

// loaderKilled checks that a loader is killed.
func (o *oracle) loaderKilled(now time.Time, a KillLoader, late bool) string {
	l := o.nurses[a.Revision]
	if l == nil || l.killed {
		return "acted on the dead"
	}
	switch {
	case o.closed && (l.told || l.aborted): // the grace of a stop may be shorter
	case late:
		return "late loop punished"
	case !l.told && !l.aborted:
		return "loader killed without its stacks"
	case l.until.After(now):
		return "loader killed without need"
	}
	l.killed = true
	return ""
}

// neglected looks for a loader to which something ought to have happened by now.
func (o *oracle) neglected(now time.Time) string {
	if o.halted {
		return ""
	}
	for revision, l := range o.nurses {
		switch {
		case l.killed:
		case l.aborted && !l.until.After(now):
			return "loader not killed after its stacks"
		case l.aborted:
		case l.hung:
			return "hung loader left alive"
		case l.told && !l.until.After(now), !l.told && !o.useful(revision):
			return "loader that nobody needs lives on"
		case !l.told && !l.ready && !l.startBy.After(now):
			return "startup timeout of a loader ignored"
		}
	}
	return ""
}

// forgotten says whether nobody is there, and nothing will wake the brain in time to start
// the loader without which nobody will be.
func (o *oracle) forgotten(now time.Time) bool {
	if o.halted || !o.serving() || o.closed || len(o.alive)+len(o.nurses)+len(o.left) > 0 || !o.preloaded(o.current) || o.target == 0 {
		return false
	}
	return o.next.IsZero() || o.next.After(now.Add(o.settings[o.current].BackoffMax))
}

// postponeLoaders gives the loaders that are overdue another moment.
func (o *oracle) postponeLoaders(now time.Time) {
	for _, l := range o.nurses {
		for _, t := range []*time.Time{&l.startBy, &l.until} {
			if !t.IsZero() && !t.After(now) {
				*t = now.Add(Lateness)
			}
		}
		// The end of a stop may have come before, and is what is postponed.
		if by := now.Add(Lateness); (l.told || l.aborted) && o.closed && l.until.Before(by) {
			l.until = by
		}
	}
}

// unloadable says whether loaders of the revision ended as often as a boot may fail, once in a
// trial, with no worker of it that has really started since, nor one that still may.
func (o *oracle) unloadable(revision int) bool {
	n := o.settings[revision].StartupAttempts
	if revision != o.current {
		n = 1
	}
	for _, w := range o.alive {
		if w.Revision == revision && w.ended.IsZero() && !w.undead && (!w.ready || w.guess) {
			return false
		}
	}
	return o.triesOf(revision).failures >= n
}

// abroad checks a retirement for the sake of a revision that is being tried: no worker of
// the one in force goes before the loader of the new one is ready.
func (o *oracle) abroad(a Retire) string {
	if w := o.alive[a.ID]; w != nil && a.Reason == ReasonReload && w.Revision == o.current && o.candidate != 0 && !o.forks(o.candidate) {
		return "retired for a loader that is not ready"
	}
	return ""
}
