package fleet

import "time"

// State is a stage in the life of a worker.
type State int

// The states, in the order in which they can follow each other.
const (
	Starting State = iota // spawned, not ready
	Ready                 // serving
	Draining              // told to finish what it has
	Stopping              // aborted or killed
)

var states = [...]string{"starting", "ready", "draining", "stopping"}

func (s State) String() string { return states[s] }

// Worker is one process of the fleet as the brain sees it.
type Worker struct {
	ID         int
	Slot       int
	Place      int
	Revision   int
	Generation int
	State      State
	Spawned    time.Time
	ReadyAt    time.Time // zero: was never ready
	Recycle    Reason    // set: a replacement was ordered, for this reason
	Stuck      bool      // to be replaced at once: what a look saw of it does not end
	Innocents  int       // requests of a stuck worker that are not to blame

	cooperates bool
	waits      bool // for connections, as far as can be seen
	guessed    bool // ready, but neither by its word nor for long: its header or its end may prove that wrong
	told       bool // the stop signal was sent
	oversized  bool // to be killed at once
	left       bool // said STOPPING=1 unasked
	failed     bool // missed its startup timeout
	killed     bool // SIGKILL was sent
	blamed     bool // its end was counted against its slot
	backoff    time.Duration
	expires    time.Time // when a replacement is ordered for its age; zero: never
	aliveAt    time.Time // old enough then to be taken for ready; zero: not to be told by its age
	due        time.Time // when the present state is escalated, or a ready worker has had the time to write its header; zero: never
	seenStuck  time.Time // since when each look at it says that it is stuck; zero: the last did not
}

// LookFrom returns from when on it matters whether the worker waits for
// connections; zero: it does not.
func (w *Worker) LookFrom() time.Time {
	if w.State != Starting || w.waits {
		return time.Time{}
	}
	return w.aliveAt
}

// HeaderUntil returns until when a ready worker without a header may still write
// it; zero: it is not waited for.
func (w *Worker) HeaderUntil() time.Time {
	if w.State != Ready || w.cooperates {
		return time.Time{}
	}
	return w.due
}

// serving says whether the worker may have requests that nobody told it to finish.
func (w *Worker) serving() bool { return w.State == Starting || w.State == Ready }

// fault is what was wrong with a worker that went with this verdict, if nobody had
// told it to.
func (w *Worker) fault(verdict Verdict) Reason {
	switch {
	case w.oversized:
		return ReasonMemory
	case verdict == BootFailed:
		return ReasonStartup
	case w.left:
		return ReasonLeft
	}
	return ReasonCrash
}

// slot is one position of the fleet and what befell it.
type slot struct {
	why      Reason    // why the next worker will be spawned here
	revision int       // whose crashes these are
	crashes  int       // within reset_after of each other
	failures int       // boots failed in a row
	early    int       // crashes soon after ready, in a row
	culprit  int       // id of the last worker that failed or crashed so
	until    time.Time // no spawn of this revision before
}

// inBackoff says whether a worker of the revision may not be spawned yet.
func (s *slot) inBackoff(revision int, now time.Time) bool {
	return s.revision == revision && s.until.After(now)
}

// revision is one configuration and how it fares.
type revision struct {
	Settings
	number     int
	generation int
	target     int // Workers, or what it was scaled to

	canary     int // id of the worker that tries it; 0: not spawned
	canarySlot int // slot that was emptied for the canary where surge is 0; -1: none
	cooperates bool
	failures   int // boots failed in a row, that is with none between them that succeeded
	crashes    int // crashes soon after ready, in a row, that is with no worker between them that stayed for ResetAfter
	culprit    int // id of the last worker that failed or crashed so
}
