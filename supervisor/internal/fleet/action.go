package fleet

import "time"

// An Action is something the loop has to do or to make known. The set is
// closed. Actions are in the order in which they are to be performed.
type Action interface{ action() }

// The actions.
type (
	// Spawn starts the worker, or asks the loader of its revision for it if that is a
	// preloaded one. A spawn that fails is an Exited, or a SpawnFailed.
	Spawn struct {
		Worker Worker
		Reason Reason
	}

	// Load starts the loader of a revision. Its end is told, whether it was asked for or
	// not, before another one is started. A start that fails is a LoaderExited.
	Load struct {
		Revision, Generation int
		Reason               Reason
	}

	// Unload tells a loader that nobody needs it any more. Its workers live on.
	Unload struct {
		Revision int
		Reason   Reason
	}

	// AbortLoader sends the abort signal to a loader that hangs, and SIGCONT in case it was
	// stopped.
	AbortLoader struct {
		Revision int
		Reason   Reason
	}

	// KillLoader sends SIGKILL to the loader's process group: the time for its stacks, or
	// its grace, is over.
	KillLoader struct{ Revision int }

	// Activate makes a spare the worker of a slot, for which another one would have been
	// spawned otherwise, or was to be.
	Activate struct {
		ID, Slot int
		Reason   Reason
	}

	// Weigh asks for a [Memory], soon: somebody wants to start a process beyond those that
	// there are to be.
	Weigh struct{}

	// Cramped says, once until there is more, that memory has no room for such a process: a
	// worker goes before its successor comes, and a spare does not come.
	Cramped struct{}

	// Spareless says, once for a revision, that there are no spares although they are asked
	// for: a worker cannot hold.
	Spareless struct{ ID int }

	// Announce says that a worker became ready.
	Announce struct{ ID int }

	// FoundStuck says that a worker is stuck, for the reason of a [Sight].
	FoundStuck struct {
		ID        int
		Reason    Reason
		Innocents int
	}

	// Recovered says that a worker is no longer stuck. It will be replaced all the
	// same, and has the time of others for that.
	Recovered struct{ ID int }

	// FoundFailing says that a worker fails while others do not, and is replaced for it.
	FoundFailing struct{ ID int }

	// FoundOutage says, once, that workers fail and nobody is replaced for it, since no
	// other answers well.
	FoundOutage struct{ Failing int }

	// Defer says that a worker has to wait with its [Wish].
	Defer struct {
		ID     int
		Reason Reason
		Until  time.Time
	}

	// Crowded says, once, that a worker has waited for long for its replacement, since as many
	// drain as there may be beyond the target.
	Crowded struct{ ID, Draining int }

	// Withdraw takes an Announce back: the worker turned out to be one whose word
	// counts, and it has not given it yet.
	Withdraw struct{ ID int }

	// Plain says, once, that a ready worker had all the time it needed to write
	// its header and has not: it is a plain one.
	Plain struct{ ID int }

	// Retire sends the worker its stop signal; it has until Until.
	Retire struct {
		ID     int
		Until  time.Time
		Reason Reason
	}

	// FoundFailed says that a worker has failed, as it says itself, and is replaced. It has
	// until then to finish what it has.
	FoundFailed struct {
		ID    int
		Until time.Time
	}

	// Hasten brings forward the end of a retirement, and Prolong puts it off again as far
	// as it was brought forward.
	Hasten struct {
		ID    int
		Until time.Time
	}

	// Prolong is explained with Hasten.
	Prolong struct {
		ID    int
		Until time.Time
	}

	// Abort sends the abort signal, and SIGCONT in case the worker was stopped.
	Abort struct {
		ID     int
		Reason Reason
	}

	// Kill sends SIGKILL to the worker's process group. Aborted says that it was asked
	// for its stacks before.
	Kill struct {
		ID      int
		Reason  Reason
		Aborted bool
	}

	// Unkillable says, again and again, that SIGKILL has not ended a worker, or what is
	// left of the process group of one that is gone and had a lease. It keeps that.
	Unkillable struct{ ID int }

	// Bury says what the exit of a worker meant. Reason is what was wrong with it,
	// unless its verdict is that it was retired. Backoff is how long its slot
	// stays empty.
	Bury struct {
		Worker  Worker
		Verdict Verdict
		Reason  Reason
		Backoff time.Duration
	}

	// Rescale says that the number of workers asked for changed, or Floor, which is how many
	// there are at least. Slot is the one that was closed for want of demand, or -1: the last
	// ones were closed, or the first of those that were closed are opened.
	Rescale struct{ From, To, Floor, Slot int }

	// Apply puts the settings of a revision into force: it was accepted
	// (ReasonReload), or the one after it was given up (ReasonRollback).
	Apply struct {
		Revision, Generation int
		Reason               Reason
	}

	// EndReload says how the reload to a revision ended. Culprit is the id of
	// the worker whose failure rolled it back, or 0. Loader says that it was the
	// revision's loader.
	EndReload struct {
		Revision int
		Result   Result
		Culprit  int
		Loader   bool
	}

	// Close says, once, that the stop begins: no new connections from now on.
	Close struct{}

	// Up says, once, that every slot has a ready worker for the first time.
	Up struct{}

	// Halt is the last action: the fleet is empty, or what is left of it does
	// not even die of SIGKILL. Culprit is the worker because of whose failed
	// boot the brain gave up, or 0 when a stop was asked for. Loader says that it gave
	// up because of loaders.
	Halt struct {
		Culprit int
		Loader  bool
	}
)

func (Spawn) action()        {}
func (Load) action()         {}
func (Unload) action()       {}
func (AbortLoader) action()  {}
func (KillLoader) action()   {}
func (Activate) action()     {}
func (Weigh) action()        {}
func (Cramped) action()      {}
func (Spareless) action()    {}
func (Announce) action()     {}
func (Defer) action()        {}
func (Crowded) action()      {}
func (Withdraw) action()     {}
func (Plain) action()        {}
func (FoundStuck) action()   {}
func (Recovered) action()    {}
func (FoundFailing) action() {}
func (FoundOutage) action()  {}
func (FoundFailed) action()  {}
func (Retire) action()       {}
func (Hasten) action()       {}
func (Prolong) action()      {}
func (Abort) action()        {}
func (Kill) action()         {}
func (Unkillable) action()   {}
func (Bury) action()         {}
func (Rescale) action()      {}
func (Apply) action()        {}
func (EndReload) action()    {}
func (Close) action()        {}
func (Up) action()           {}
func (Halt) action()         {}

// Verdict is what the brain makes of an exit.
type Verdict int

// The verdicts.
const (
	Retired    Verdict = iota // had been told to go, or said that it would
	Crashed                   // went on its own after it was ready
	BootFailed                // went, or had to be killed, before it was ready
)

func (v Verdict) String() string {
	return [...]string{"retired", "crashed", "boot failed"}[v]
}

// Result is how a reload ended.
type Result int

// The results of a reload.
const (
	Done       Result = iota // every new worker is ready, every old one was told to drain
	RolledBack               // the new revision could not become ready
	Superseded               // another reload, or a stop, came first
)

func (r Result) String() string {
	return [...]string{"done", "rolled back", "superseded"}[r]
}
