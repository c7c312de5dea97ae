package fleet

import (
	"cmp"
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
	Draining              // told to finish what it has, or does so unasked
	Aborted               // asked for its stacks: the abort signal was sent
	Killed                // SIGKILL was sent
)

// ending is what an operator calls a worker that is aborted or killed.
const ending = "stopping"

// stored are the states as they are written down, whatever their numbers are. To
// versions before this one Aborted was the only one with that name.
var stored = [...]string{"starting", "ready", "draining", ending, "killed"}

// String returns the state in the words of an operator.
func (s State) String() string {
	if s.Ending() {
		return ending
	}
	return stored[s]
}

// Ending says whether the worker is made to end, and no longer waited for.
func (s State) Ending() bool { return s >= Aborted }

// MarshalText and UnmarshalText are how a state is written down.
func (s State) MarshalText() ([]byte, error) { return []byte(stored[s]), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *State) UnmarshalText(text []byte) error {
	at := slices.Index(stored[:], string(text))
	if at < 0 {
		return fmt.Errorf("no worker can be %q", text)
	}
	*s = State(at)
	return nil
}

// Identity is what stays the same of a worker for life, but for the slot of one that was a
// spare.
type Identity struct {
	ID         int       `state:"id"`
	Slot       int       `state:"slot"` // [NoSlot] of a spare
	Place      int       `state:"place"`
	Revision   int       `state:"revision"`
	Generation int       `state:"generation"`
	Spawned    time.Time `state:"spawned"`
	Lease      Lease     `state:"lease"` // nil: it needs none
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
	said       bool          `state:"said_ready"` // READY=1
	holds      bool          `state:"holds"`      // it said so when it became ready: it accepts nothing while it is a spare
	reserve    bool          `state:"reserve"`    // it was started as a spare, and only its word makes it ready
	takenAt    time.Time     `state:"taken_at"`   // since when one that was a spare has a slot; zero: it was none, or is one
	waits      bool          `state:"waits"`      // for connections, as far as can be seen
	guessed    bool          `state:"guessed"`    // ready, but neither by its word nor for long: its header or its end may prove that wrong
	told       bool          `state:"told"`       // the stop signal was sent
	oversized  bool          `state:"oversized"`  // to be killed at once
	unkillable bool          `state:"unkillable"` // SIGKILL has not ended it
	left       bool          `state:"left"`       // said STOPPING=1 unasked
	blamed     bool          `state:"blamed"`     // its end was counted against its slot
	wish       Reason        `state:"wish"`       // for which it wants to be replaced; "": it does not
	deferred   bool          `state:"deferred"`   // it was said that it has to wait for that
	backoff    time.Duration `state:"backoff"`
	expires    time.Time     `state:"expires"`    // when a replacement is ordered for its age; zero: never
	aliveAt    time.Time     `state:"alive_at"`   // old enough then to be taken for ready; zero: not to be told by its age
	due        time.Time     `state:"due"`        // when the present state is escalated, or a ready worker has had the time to write its header; zero: never
	bound      time.Time     `state:"bound"`      // due is no later while it drains; zero: it does not
	failing    time.Time     `state:"failing"`    // since when it has failed as often in a row as it may, as far as was seen; zero: it has not
	succeeded  time.Time     `state:"succeeded"`  // when the latest request began that it answered well; zero: that is not known
	linger     linger        `state:"linger"`     // beside its successor
	seenStuck  time.Time     `state:"seen_stuck"` // since when each look at it says that it is stuck; zero: the last did not

	// Of versions in which it was no state that SIGKILL was sent.
	killed bool `state:"killed"`
}

// is moves the worker into a state that ends at due, or does not if that is zero. How
// old it is makes no difference from then on.
func (w *Worker) is(s State, due time.Time) {
	w.State, w.due, w.aliveAt, w.bound, w.linger = s, due, time.Time{}, time.Time{}, linger{}
	if s == Draining {
		w.bound = due
	}
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

// ToBeReplaced says why a worker that serves is to be replaced, or wants to be; "": it is
// not.
func (w *Worker) ToBeReplaced() Reason {
	if !w.serving() {
		return ""
	}
	return cmp.Or(w.Recycle, w.wish)
}

// Cooperates says whether the worker wrote the header of its scoreboard.
func (w *Worker) Cooperates() bool { return w.cooperates }

// Watched says whether it matters what is to be seen of the worker: it was ready, and
// is not being ended.
func (w *Worker) Watched() bool {
	return !w.ReadyAt.IsZero() && (w.State == Ready || w.State == Draining)
}

// Unkillable says whether SIGKILL has not ended the worker.
func (w *Worker) Unkillable() bool { return w.unkillable }

// failed says whether the worker is being ended because it did not become ready:
// others were told to go before, or said that they would, or that they have failed.
func (w *Worker) failed() bool { return w.State == Aborted && !w.told && !w.left && !w.blamed }

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
	lease    Lease     `state:"lease"`    // of its last ready worker
	wished   time.Time `state:"wished"`   // when a worker was granted its wish last; zero: none was
	closed   bool      `state:"closed"`   // it is not to be filled, which one behind it is
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
	scale      int `state:"scale"`  // how many more than Workers an operator scaled to, or fewer
	floor      int `state:"floor"`  // Workers and scale, as far as there can be as many
	target     int `state:"target"` // how many workers are asked for: floor, or more where more are needed

	canary     int   `state:"canary"`      // id of the worker that tries it; 0: not spawned
	canarySlot int   `state:"canary_slot"` // slot that was emptied for the canary, which found no place or lease beside it; -1: none
	alone      bool  `state:"alone"`       // there was nobody when it came, nor anything to do
	claim      Lease `state:"claim"`       // that was freed for it
	cooperates bool  `state:"cooperates"`
	holds      bool  `state:"holds"`     // the last worker that became ready accepts nothing while it is a spare
	spareless  bool  `state:"spareless"` // it was said that there are no spares, since it does not
	failures   int   `state:"failures"`  // boots failed in a row, that is with none between them that succeeded
	crashes    int   `state:"crashes"`   // crashes soon after ready, in a row, that is with no worker between them that stayed for ResetAfter
	culprit    int   `state:"culprit"`   // id of the last worker that failed or crashed so

	loads loads `state:"loads"` // how its loaders fare
}
