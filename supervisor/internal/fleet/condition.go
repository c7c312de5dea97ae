package fleet

import (
	"slices"
	"time"
)

// Condition is how the fleet is, in the word that a person would use.
type Condition string

// The conditions. Of several that hold the first one counts.
const (
	ConditionStopping  Condition = "stopping"   // told to stop, or gave up
	ConditionReloading Condition = "reloading"  // a reload is under way
	ConditionCrashLoop Condition = "crash_loop" // workers of a slot, or the loaders that they wait for, end again and again
	ConditionReady     Condition = "ready"      // every slot has a ready worker
	ConditionStarting  Condition = "starting"   // what is missing has not been there yet
	ConditionDegraded  Condition = "degraded"   // a slot has lost its ready worker
)

// Summary is the state of the fleet at one moment.
type Summary struct {
	Condition Condition
	Ready     int // slots that have a ready worker, of Target
	Target    int
	// Looping are the slots in a crash loop. Crashes is how often their workers
	// ended in a row, and Next when the first of them gets another: zero if one is
	// there already.
	Looping []int
	Crashes int
	Next    time.Time
	// Unloaded says that workers wait for a loader which is being started, and how the
	// last ones fared: how often they ended in a row, or did not become ready, and when
	// the next one is started; zero: one is there already.
	Unloaded bool
	Loads    int
	NextLoad time.Time
}

// Summary returns how the fleet is now. A crash loop is over when a worker has been
// ready for so long that the crashes are forgiven, which may be since the last step;
// where they never are, when one is ready.
func (f *Fleet) Summary(now time.Time) Summary {
	sum := Summary{Target: f.current.target}
	lost := false
	for i, s := range f.open() {
		ready, recovered := false, false
		for _, w := range f.teams[i] {
			if w.State == Ready {
				ready = true
				recovered = recovered || f.own(w) && (f.current.ResetAfter == 0 || f.stayed(w, now) && !f.stayed(w, f.now))
			}
		}
		if ready {
			sum.Ready++
		} else if f.up && (s.why != ReasonScale || s.crashes > 0) {
			lost = true
		}
		if f.Stopping() || s.revision != f.current.number || s.crashes < 2 || recovered {
			continue
		}
		sum.Looping = append(sum.Looping, i)
		sum.Crashes += s.crashes
		if until := s.until; until.After(now) && (sum.Next.IsZero() || until.Before(sum.Next)) {
			sum.Next = until
		}
	}
	f.sumLoads(&sum, now)
	switch {
	case f.Stopping():
		sum.Condition = ConditionStopping
	case f.Reloading():
		sum.Condition = ConditionReloading
	case len(sum.Looping) > 0 || sum.Loads >= 2:
		sum.Condition = ConditionCrashLoop
	case sum.Ready == sum.Target:
		sum.Condition = ConditionReady
	case lost:
		sum.Condition = ConditionDegraded
	default:
		sum.Condition = ConditionStarting
	}
	return sum
}

// sumLoads adds how the loaders of the revision in force fare, if workers wait for one.
func (f *Fleet) sumLoads(sum *Summary, now time.Time) {
	r := f.current
	if f.Stopping() || !slices.ContainsFunc(f.wanted, func(l Load) bool { return l.Revision == r.number }) {
		return
	}
	sum.Unloaded = true
	if r.loads.failures == 0 && r.loads.crashes < 2 {
		return
	}
	sum.Loads = max(r.loads.crashes, r.loads.failures)
	if f.loader(r.number) == nil && r.loads.until.After(now) {
		sum.NextLoad = r.loads.until
	}
}

// Failing is a slot whose workers do not boot.
type Failing struct {
	Slot    int
	Boots   int // failed in a row
	Culprit int // id of the last worker whose boot failed
}

// Failing returns the slots in which StartupAttempts boots or more have failed in
// a row, which is what a rollout is given up for: it goes on there, but nobody
// should wait for it.
func (f *Fleet) Failing() (all []Failing) {
	for i, s := range f.open() {
		if s.revision == f.current.number && s.failures >= f.current.StartupAttempts {
			all = append(all, Failing{i, s.failures, s.culprit})
		}
	}
	return all
}
