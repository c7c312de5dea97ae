package protocol

import "time"

// The times that master and worker hold each other to. The package comment says what
// each is for, and a test holds their order.
const (
	// OverdueGrace is how long what is due may be left undone before the master takes
	// the worker for stuck: a request in its slot, a sign of life.
	OverdueGrace = time.Second
	// Lateness is how late an alarm may go off. A later one says that the process, or
	// the whole machine, was stopped or starved: that is not the fault of the requests,
	// whose time without progress stands still meanwhile. After more than OverdueGrace,
	// when the master would have replaced the worker already, it begins anew.
	Lateness = 100 * time.Millisecond
	// AbortGrace is what a worker that is stuck has from the abort signal to SIGKILL, for
	// what it can say about itself.
	AbortGrace = 2 * time.Second
	// DrainMargin is kept free at the end of a drain: what is left then is cut, so that
	// the program can return before it is killed.
	DrainMargin = 250 * time.Millisecond
	// CutMargin is DrainMargin as the master sees it, with what a busy machine adds: a
	// worker that ends within so long of the end of its drain may have cut something.
	CutMargin = 2 * DrainMargin
	// UnboundedDrain is how long a drain takes at most if nobody says until when.
	UnboundedDrain = 30 * time.Second
	// OrphanGrace bounds a drain from the moment that the master is gone: nobody is left
	// to enforce anything, and the next master wants the machine.
	OrphanGrace = 1500 * time.Millisecond
	// ListenGrace is how long a worker waits for a socket to listen that another one has shut
	// down at its end: the master has it listen again when that one is gone.
	ListenGrace = time.Second
	// QuietQueue is how long the queue of a socket that is given up must have been empty
	// before the worker closes it: the master takes it out of reach at about the same
	// time as it asks for the drain, and handshakes may be under way.
	QuietQueue = time.Second
	// FreshConnection is how long a connection that has sent nothing yet counts as a
	// request to come, and what it gets at least when a drain begins.
	FreshConnection = time.Second
	// TurnStep lies between the connections that a drain ends with an answer, one after
	// the other: about what a processor needs for the handshake of TLS by which a client
	// comes back.
	TurnStep = time.Millisecond
	// TurnSpan bounds for how long the last one of them waits for its turn, and so does a
	// quarter of the drain.
	TurnSpan = 2 * time.Second
	// HoldMargin is how long a spare may take to accept connections from the message that says
	// so on.
	HoldMargin = 5 * time.Millisecond
	// SpawnTimeout is how long a loader may take to make one worker. A fork takes
	// milliseconds: who needs longer hangs.
	SpawnTimeout = 10 * time.Second
	// UnloadGrace is what a loader has to exit once nobody needs it any more, or it has
	// closed its descriptor.
	UnloadGrace = 2 * time.Second
)
