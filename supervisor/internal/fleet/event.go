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

	// Executed says that a worker's own program runs now, from where its age
	// counts.
	Executed struct{ ID int }

	// SaidReady is a worker's READY=1.
	SaidReady struct{ ID int }

	// Cooperates says that a worker wrote the header of its scoreboard.
	Cooperates struct{ ID int }

	// SaidStopping is a worker's STOPPING=1.
	SaidStopping struct{ ID int }

	// Recycle asks for a worker to be replaced gracefully.
	Recycle struct {
		ID     int
		Reason Reason
	}

	// Stuck says that a worker has a request, or no sign of life, that is past
	// its time and does not end. Innocents is how many other requests it has. It
	// is repeated when that number changes.
	Stuck struct {
		ID        int
		Reason    Reason
		Innocents int
	}

	// Oversized says that a worker takes more memory than it may in any case.
	Oversized struct{ ID int }

	// Extend is a starting worker's wish to be given until By from now.
	Extend struct {
		ID int
		By time.Duration
	}

	// ScaleBy changes the number of workers, never below 1.
	ScaleBy struct{ N int }

	// Reload asks for another configuration. Revision is greater than any before.
	Reload struct {
		Revision int
		Settings Settings
	}

	// Stop ends the fleet, after the delay of the settings if anything was ever
	// ready. Quick waits neither for that nor for requests in flight.
	Stop struct{ Quick bool }
)

func (Tick) event()         {}
func (Exited) event()       {}
func (Executed) event()     {}
func (SaidReady) event()    {}
func (Cooperates) event()   {}
func (SaidStopping) event() {}
func (Recycle) event()      {}
func (Stuck) event()        {}
func (Oversized) event()    {}
func (Extend) event()       {}
func (ScaleBy) event()      {}
func (Reload) event()       {}
func (Stop) event()         {}
