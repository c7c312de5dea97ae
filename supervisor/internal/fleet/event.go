package fleet

import "time"

// An Event is a fact from outside. The set is closed.
type Event interface{ event() }

// The events.
type (
	// Tick says that time has passed.
	Tick struct{}

	// Exited says that a worker's process is gone.
	Exited struct{ ID int }

	// Cleared says that nobody is left of the process group of a worker that is gone, or
	// that there was none: its lease is free.
	Cleared struct{ ID int }

	// SpawnFailed says that no process came of a Spawn that was asked of a loader. For
	// the worker that is as if it had exited.
	SpawnFailed struct{ ID int }

	// LoaderReady is the READY=1 of a revision's loader.
	LoaderReady struct{ Revision int }

	// LoaderExited says that the process of a revision's loader is gone.
	LoaderExited struct{ Revision int }

	// LoaderHung says that a revision's loader was asked for a worker and has not
	// answered in time.
	LoaderHung struct{ Revision int }

	// LoaderExtended is a starting loader's wish to be given until By from now.
	LoaderExtended struct {
		Revision int
		By       time.Duration
	}

	// Hopeless says that the start of a worker or a loader of a revision has failed in a way
	// that every other one would too. From here on one that has failed is enough to give
	// the revision up for.
	Hopeless struct{ Revision int }

	// Executed says that a worker's own program runs now, from where its age
	// counts.
	Executed struct{ ID int }

	// SaidReady is a worker's READY=1. Holds says that it accepts nothing while it is a
	// spare.
	SaidReady struct {
		ID    int
		Holds bool
	}

	// Waits says that a process of a worker waits for connections on one of its
	// sockets, or that nobody can tell.
	Waits struct{ ID int }

	// Cooperates says that a worker wrote the header of its scoreboard.
	Cooperates struct{ ID int }

	// SaidStopping is a worker's STOPPING=1.
	SaidStopping struct{ ID int }

	// Recycle asks for a worker to be replaced gracefully.
	Recycle struct {
		ID     int
		Reason Reason
	}

	// Wish is a worker's own word that it wants to be replaced gracefully. A slot is
	// granted one wish within ResetAfter, whichever worker has it; one that comes sooner
	// waits.
	Wish struct {
		ID     int
		Reason Reason
	}

	// Looked is what a look at some workers saw that was to happen at Due; zero:
	// the time of the look does not matter. Each look tells all that it sees, whether
	// it is new or not: of two looks that say the same the brain may have had no use
	// for the first.
	Looked struct {
		Due    time.Time
		Sights []Sight
	}

	// Oversized says that a worker takes more memory than it may in any case.
	Oversized struct{ ID int }

	// SaidFailed is a worker's own word that it can serve nobody any more: it finishes what
	// it has as one that said STOPPING=1 does, and has crashed.
	SaidFailed struct{ ID int }

	// Extend is a starting worker's wish to be given until By from now.
	Extend struct {
		ID int
		By time.Duration
	}

	// Demand is how much there is to do, as a look saw it. [Fleet.DemandBy] says when it has
	// to be told at the latest.
	Demand struct {
		InFlight []InFlight // of the ready workers whose requests can be seen
		Waiting  int        // connections that nobody has accepted
		Room     int        // for how many workers there is memory; 0: that is not known
	}

	// Memory says for how many more processes, beside those that live, there is memory. It
	// answers a [Weigh].
	Memory struct{ Room int }

	// ScaleBy changes the number of workers, or of those that there are at least: never below
	// 1, unless the settings are, nor above that of leases or WorkersMax.
	ScaleBy struct{ N int }

	// Recount says that as many workers are configured by now where that follows from the
	// machine. By how many more or fewer than those an operator scaled to stays.
	Recount struct{ Workers int }

	// Reload asks for another configuration. Revision is greater than any before.
	Reload struct {
		Revision int
		Settings Settings
	}

	// Stop ends the fleet, after the delay of the settings if anything was ever
	// ready. Quick waits neither for that nor for requests in flight.
	Stop struct{ Quick bool }
)

// Sight is what a look saw of one worker.
type Sight struct {
	ID        int
	Overdue   bool // a request is past its time and does not end
	Silent    bool // there was no sign of life for too long
	Innocents int  // the other requests
	Streams   int  // of them, how many last, where the worker lingers
	// Failing is since when it has failed as often in a row as it may; zero: it has not.
	// Succeeded is when the latest request began that it answered well; zero: that is not
	// known.
	Failing, Succeeded time.Time
}

// stuck is the reason for which the worker is held to be stuck; "": it is not.
func (s Sight) stuck() Reason {
	switch {
	case s.Overdue:
		return ReasonTimeout
	case s.Silent:
		return ReasonWatchdog
	}
	return ""
}

// InFlight is how many requests of a worker are in flight.
type InFlight struct{ ID, N int }

func (Tick) event()           {}
func (Exited) event()         {}
func (Cleared) event()        {}
func (SpawnFailed) event()    {}
func (LoaderReady) event()    {}
func (LoaderExited) event()   {}
func (Hopeless) event()       {}
func (LoaderHung) event()     {}
func (LoaderExtended) event() {}
func (Executed) event()       {}
func (SaidReady) event()      {}
func (Waits) event()          {}
func (Cooperates) event()     {}
func (SaidStopping) event()   {}
func (SaidFailed) event()     {}
func (Recycle) event()        {}
func (Wish) event()           {}
func (Looked) event()         {}
func (Oversized) event()      {}
func (Extend) event()         {}
func (Demand) event()         {}
func (Memory) event()         {}
func (ScaleBy) event()        {}
func (Recount) event()        {}
func (Reload) event()         {}
func (Stop) event()           {}
