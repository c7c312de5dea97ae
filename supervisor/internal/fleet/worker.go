package fleet

import (
	"fmt"
	"slices"
	"time"
)

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

// MarshalText and UnmarshalText are how a state is written down, whatever its
// number is.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *State) UnmarshalText(text []byte) error {
	at := slices.Index(states[:], string(text))
	if at < 0 {
		return fmt.Errorf("no worker can be %q", text)
	}
	*s = State(at)
	return nil
}

// Identity is what stays the same of a worker for life.
type Identity struct {
	ID         int       `state:"id"`
	Slot       int       `state:"slot"`
	Place      int       `state:"place"`
	Revision   int       `state:"revision"`
	Generation int       `state:"generation"`
	Spawned    time.Time `state:"spawned"`
}

// Worker is one process of the fleet as the brain sees it.
type Worker struct {
	Identity `state:",inline"`

	State     State     `state:"state"`
	ReadyAt   time.Time `state:"ready_at"`  // zero: was never ready
	Recycle   Reason    `state:"recycle"`   // set: a replacement was ordered, for this reason
	Stuck     bool      `state:"stuck"`     // to be replaced at once: what a look saw of it does not end
	Innocents int       `state:"innocents"` // requests of a stuck worker that are not to blame
	Until     time.Time `state:"until"`     // when its retirement ends; zero: there is none
	Why       Reason    `state:"why"`       // of its retirement

	cooperates bool          `state:"cooperates"`
	waits      bool          `state:"waits"`     // for connections, as far as can be seen
	guessed    bool          `state:"guessed"`   // ready, but neither by its word nor for long: its header or its end may prove that wrong
	told       bool          `state:"told"`      // the stop signal was sent
	oversized  bool          `state:"oversized"` // to be killed at once
	left       bool          `state:"left"`      // said STOPPING=1 unasked
	failed     bool          `state:"failed"`    // missed its startup timeout
	killed     bool          `state:"killed"`    // SIGKILL was sent
	blamed     bool          `state:"blamed"`    // its end was counted against its slot
	wish       Reason        `state:"wish"`      // for which it wants to be replaced; "": it does not
	deferred   bool          `state:"deferred"`  // it was said that it has to wait for that
	backoff    time.Duration `state:"backoff"`
	expires    time.Time     `state:"expires"`    // when a replacement is ordered for its age; zero: never
	aliveAt    time.Time     `state:"alive_at"`   // old enough then to be taken for ready; zero: not to be told by its age
	due        time.Time     `state:"due"`        // when the present state is escalated, or a ready worker has had the time to write its header; zero: never
	seenStuck  time.Time     `state:"seen_stuck"` // since when each look at it says that it is stuck; zero: the last did not
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

// Cooperates says whether the worker wrote the header of its scoreboard.
func (w *Worker) Cooperates() bool { return w.cooperates }

// Killed says whether SIGKILL was sent to the worker.
func (w *Worker) Killed() bool { return w.killed }

// Watched says whether it matters what is to be seen of the worker: it was ready, and
// is not being ended.
func (w *Worker) Watched() bool {
	return !w.ReadyAt.IsZero() && (w.State == Ready || w.State == Draining)
}

// serving says whether the worker may have requests that nobody told it to finish.
func (w *Worker) serving() bool { return w.State == Starting || w.State == Ready }

// slot is one position of the fleet and what befell it.
type slot struct {
	why      Reason    `state:"why"`      // why the next worker will be spawned here
	revision int       `state:"revision"` // whose crashes these are
	crashes  int       `state:"crashes"`  // within reset_after of each other
	failures int       `state:"failures"` // boots failed in a row
	early    int       `state:"early"`    // crashes soon after ready, in a row
	culprit  int       `state:"culprit"`  // id of the last worker that failed or crashed so
	until    time.Time `state:"until"`    // no spawn of this revision before
	wished   time.Time `state:"wished"`   // when a worker was granted its wish last; zero: none was
}

// inBackoff says whether a worker of the revision may not be spawned yet.
func (s *slot) inBackoff(revision int, now time.Time) bool {
	return s.revision == revision && s.until.After(now)
}

// revision is one configuration and how it fares.
type revision struct {
	Settings   `state:"settings"`
	number     int `state:"number"`
	generation int `state:"generation"`
	target     int `state:"target"` // Workers, or what it was scaled to

	canary     int  `state:"canary"`      // id of the worker that tries it; 0: not spawned
	canarySlot int  `state:"canary_slot"` // slot that was emptied for the canary where surge is 0; -1: none
	cooperates bool `state:"cooperates"`
	failures   int  `state:"failures"` // boots failed in a row, that is with none between them that succeeded
	crashes    int  `state:"crashes"`  // crashes soon after ready, in a row, that is with no worker between them that stayed for ResetAfter
	culprit    int  `state:"culprit"`  // id of the last worker that failed or crashed so
}
