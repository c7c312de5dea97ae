package fleet

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Snapshot is all that a brain knows, for the brain of another process to go on
// with. Its times are durations since an epoch on which both agree and before
// which nothing happened; 0 is the zero time.
type Snapshot struct {
	Current     *RevisionSnapshot `json:"current"`
	Fallback    *RevisionSnapshot `json:"fallback,omitzero"`
	Candidate   *RevisionSnapshot `json:"candidate,omitzero"`
	Workers     []WorkerSnapshot  `json:"workers"`
	Slots       []SlotSnapshot    `json:"slots"`
	LastID      int               `json:"last_id"`
	Generations int               `json:"generations"`
	EverReady   bool              `json:"ever_ready,omitzero"`
	Up          bool              `json:"up,omitzero"`
	StopAt      time.Duration     `json:"stop_at,omitzero"`
	Stopping    bool              `json:"stopping,omitzero"`
	Quick       bool              `json:"quick,omitzero"`
	StopBy      time.Duration     `json:"stop_by,omitzero"`
	GaveUp      int               `json:"gave_up,omitzero"`
	Halted      bool              `json:"halted,omitzero"`
	Now         time.Duration     `json:"now"`
	LateAt      time.Duration     `json:"late_at,omitzero"`
	LateSince   time.Duration     `json:"late_since,omitzero"`
}

// RevisionSnapshot is a revision in a [Snapshot].
type RevisionSnapshot struct {
	Settings   Settings `json:"settings"`
	Number     int      `json:"number"`
	Generation int      `json:"generation"`
	Target     int      `json:"target"`
	Canary     int      `json:"canary,omitzero"`
	CanarySlot int      `json:"canary_slot"`
	Cooperates bool     `json:"cooperates,omitzero"`
	Failures   int      `json:"failures,omitzero"`
	Crashes    int      `json:"crashes,omitzero"`
	Culprit    int      `json:"culprit,omitzero"`
}

// WorkerSnapshot is a [Worker] in a [Snapshot].
type WorkerSnapshot struct {
	ID         int           `json:"id"`
	Slot       int           `json:"slot"`
	Place      int           `json:"place"`
	Revision   int           `json:"revision"`
	Generation int           `json:"generation"`
	State      string        `json:"state"`
	Spawned    time.Duration `json:"spawned"`
	ReadyAt    time.Duration `json:"ready_at,omitzero"`
	Recycle    Reason        `json:"recycle,omitzero"`
	Cooperates bool          `json:"cooperates,omitzero"`
	Waits      bool          `json:"waits,omitzero"`
	Guessed    bool          `json:"guessed,omitzero"`
	Told       bool          `json:"told,omitzero"`
	Stuck      bool          `json:"stuck,omitzero"`
	Innocents  int           `json:"innocents,omitzero"`
	Oversized  bool          `json:"oversized,omitzero"`
	Left       bool          `json:"left,omitzero"`
	Failed     bool          `json:"failed,omitzero"`
	Killed     bool          `json:"killed,omitzero"`
	Blamed     bool          `json:"blamed,omitzero"`
	Backoff    time.Duration `json:"backoff,omitzero"`
	AliveAt    time.Duration `json:"alive_at,omitzero"`
	Due        time.Duration `json:"due,omitzero"`
	Expires    time.Duration `json:"expires,omitzero"`
	SeenStuck  time.Duration `json:"seen_stuck,omitzero"`
}

// SlotSnapshot is a slot in a [Snapshot].
type SlotSnapshot struct {
	Why      Reason        `json:"why"`
	Revision int           `json:"revision,omitzero"`
	Crashes  int           `json:"crashes,omitzero"`
	Failures int           `json:"failures,omitzero"`
	Early    int           `json:"early,omitzero"`
	Culprit  int           `json:"culprit,omitzero"`
	Until    time.Duration `json:"until,omitzero"`
}

// Snapshot returns all that the brain knows. It is taken between two steps.
func (f *Fleet) Snapshot(epoch time.Time) Snapshot {
	since := func(t time.Time) time.Duration {
		if t.IsZero() {
			return 0
		}
		return t.Sub(epoch)
	}
	s := Snapshot{
		Current: f.current.snapshot(), Fallback: f.fallback.snapshot(), Candidate: f.candidate.snapshot(),
		LastID: f.lastID, Generations: f.generations, EverReady: f.everReady, Up: f.up,
		StopAt: since(f.stopAt), Stopping: f.stopping, Quick: f.quick, StopBy: since(f.stopBy), GaveUp: f.gaveUp, Halted: f.halted,
		Now: since(f.now), LateAt: since(f.lateAt), LateSince: since(f.lateSince),
	}
	for _, w := range f.workers {
		s.Workers = append(s.Workers, WorkerSnapshot{
			ID: w.ID, Slot: w.Slot, Place: w.Place, Revision: w.Revision, Generation: w.Generation,
			State: w.State.String(), Spawned: since(w.Spawned), ReadyAt: since(w.ReadyAt), Recycle: w.Recycle,
			Cooperates: w.cooperates, Waits: w.waits, Guessed: w.guessed, Told: w.told, Stuck: w.Stuck, Innocents: w.Innocents, Oversized: w.oversized, Left: w.left,
			Failed: w.failed, Killed: w.killed, Blamed: w.blamed, Backoff: w.backoff,
			AliveAt: since(w.aliveAt), Due: since(w.due), Expires: since(w.expires), SeenStuck: since(w.seenStuck),
		})
	}
	for _, l := range f.slots {
		s.Slots = append(s.Slots, SlotSnapshot{
			Why: l.why, Revision: l.revision, Crashes: l.crashes, Failures: l.failures, Early: l.early, Culprit: l.culprit, Until: since(l.until),
		})
	}
	return s
}

func (r *revision) snapshot() *RevisionSnapshot {
	if r == nil {
		return nil
	}
	return &RevisionSnapshot{
		Settings: r.Settings, Number: r.number, Generation: r.generation, Target: r.target,
		Canary: r.canary, CanarySlot: r.canarySlot, Cooperates: r.cooperates,
		Failures: r.failures, Crashes: r.crashes, Culprit: r.culprit,
	}
}

// Restore returns the brain that a snapshot was taken of. It takes part in
// time again with its next step. An error means that the snapshot is not one of
// a brain; other mistakes in it are repaired by the steps to come.
func Restore(s Snapshot, epoch time.Time, draw func() float64) (*Fleet, error) {
	at := func(d time.Duration) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return epoch.Add(d)
	}
	if s.Current == nil {
		return nil, errors.New("cannot restore the fleet: no revision is in force")
	}
	f := &Fleet{
		draw: draw, current: s.Current.revision(), fallback: s.Fallback.revision(), candidate: s.Candidate.revision(),
		lastID: s.LastID, generations: s.Generations, everReady: s.EverReady, up: s.Up,
		stopAt: at(s.StopAt), stopping: s.Stopping, quick: s.Quick, stopBy: at(s.StopBy), gaveUp: s.GaveUp, halted: s.Halted,
		now: at(s.Now), lateAt: at(s.LateAt), lateSince: at(s.LateSince),
	}
	for _, w := range s.Workers {
		state := slices.Index(states[:], w.State)
		if state < 0 {
			return nil, fmt.Errorf("cannot restore the fleet: worker %d is %q", w.ID, w.State)
		}
		f.join(&Worker{
			ID: w.ID, Slot: w.Slot, Place: w.Place, Revision: w.Revision, Generation: w.Generation,
			State: State(state), Spawned: at(w.Spawned), ReadyAt: at(w.ReadyAt), Recycle: w.Recycle,
			cooperates: w.Cooperates, waits: w.Waits, guessed: w.Guessed, told: w.Told, Stuck: w.Stuck, Innocents: w.Innocents, oversized: w.Oversized, left: w.Left,
			failed: w.Failed, killed: w.Killed, blamed: w.Blamed, backoff: w.Backoff,
			aliveAt: at(w.AliveAt), due: at(w.Due), expires: at(w.Expires), seenStuck: at(w.SeenStuck),
		})
	}
	slices.SortFunc(f.workers, func(a, b *Worker) int { return a.ID - b.ID })
	for _, l := range s.Slots {
		f.slots = append(f.slots, &slot{
			why: l.Why, revision: l.Revision, crashes: l.Crashes, failures: l.Failures, early: l.Early, culprit: l.Culprit, until: at(l.Until),
		})
	}
	f.fitSlots(ReasonStart)
	return f, nil
}

func (r *RevisionSnapshot) revision() *revision {
	if r == nil {
		return nil
	}
	return &revision{
		Settings: r.Settings, number: r.Number, generation: r.Generation, target: r.Target,
		canary: r.Canary, canarySlot: r.CanarySlot, cooperates: r.Cooperates,
		failures: r.Failures, crashes: r.Crashes, culprit: r.Culprit,
	}
}
