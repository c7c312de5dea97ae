package fleet

import (
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// Settings is what one configuration asks of the fleet.
type Settings struct {
	Preload       bool          // workers are spawned by a loader, one for each revision
	Command       string        // identity of what is run: a worker's cooperation is expected of later workers of the same command
	Workers       int           // how many workers to keep ready, at least 1, or 0 where WorkersMax is set
	WorkersMax    int           // how many there may be at most, by how many are needed; 0: as many as Workers
	InFlight      int           // how many requests in flight one worker is to have, above 0 where WorkersMax is set
	IdleTimeout   time.Duration // a worker beyond Workers goes when it was not needed for so long
	Surge         Surge         // how many processes may live beyond Workers
	MemoryBound   bool          // processes beyond those are started only where there is memory for them, which a Weigh asks for
	Spares        int           // how many more workers to keep ready that accept nothing until a slot needs one
	Private       bool          // each slot has listeners of its own, on which the successor alone is to accept once it is ready: nobody lingers
	Leases        []Lease       // of which each worker and each spare holds one for life; empty: none are needed, else at least Workers, and no two of them with the same value of a resource
	StartParallel int           // workers starting at the same time; 0: no limit
	Ready         ReadyMode     // what makes a worker ready
	ReadyAfter    time.Duration // for ReadyAlive, and for plain workers under ReadyAuto: alive for so long

	StopDelay       time.Duration // on stop: so long the fleet goes on serving before it drains
	GracefulTimeout time.Duration // on stop, after the delay: the whole fleet's grace; 0: at once
	DrainTimeout    time.Duration // on replacement: one worker's grace; 0: at once
	StartupTimeout  time.Duration // from spawn to ready, above 0; for a loader from its start

	Lifetime       time.Duration // from ready until a replacement is ordered; 0: no limit
	LifetimeJitter time.Duration // 0 to so much is added, drawn anew for every worker

	BackoffMin      time.Duration // delay before the spawn that follows a slot's second crash
	BackoffMax      time.Duration // upper bound of the delay, which doubles with each crash
	ResetAfter      time.Duration // ready for so long forgives earlier crashes; 0: never
	StartupAttempts int           // boots that fail in a row, of workers or of loaders, before the brain gives up; in a rollout also crashes before ResetAfter; at least 1
}

// Surge bounds the processes alive beyond the number of workers. With both
// fields zero a worker is stopped before its replacement starts.
type Surge struct {
	Count   int
	Percent int // of the workers, rounded up; used when above 0
}

// Of returns how many processes may live beyond so many workers.
func (s Surge) Of(workers int) int {
	if s.Percent > 0 {
		return (workers*s.Percent + 99) / 100
	}
	return s.Count
}

// ReadyMode says what makes a worker ready.
type ReadyMode int

// The ways a worker becomes ready.
const (
	ReadyAuto   ReadyMode = iota // READY=1 if the worker cooperates or one of its command did before; else READY=1, or alive for ReadyAfter and waiting for connections
	ReadyNotify                  // READY=1 alone
	ReadyAlive                   // alive for ReadyAfter
)

// The brain's constants of time, three of which it shares with the workers.
const (
	AbortGrace      = protocol.AbortGrace     // between the abort signal and SIGKILL, so that stacks can be printed
	StuckGrace      = time.Second             // for a stuck worker without innocent requests: one may arrive on a kept connection just now
	QuickGrace      = time.Second             // between the stop signal and SIGKILL on a quick stop
	CutMargin       = protocol.CutMargin      // so long before it would be killed a cooperating worker cuts what is left and exits by itself
	UnloadGrace     = protocol.UnloadGrace    // between telling a loader to end and SIGKILL
	KillGrace       = 2500 * time.Millisecond // after the common grace of a stop: AbortGrace for who is stuck, and then the kernel is waited for no longer
	Lateness        = time.Second             // a deadline missed by more means that the loop itself was suspended
	UnkillableAfter = 5 * time.Second         // after SIGKILL; whoever is still there hangs in the kernel, and costs neither surge nor a slot
	UnkillableEvery = time.Minute             // and is named so often
	LateGrace       = 5 * time.Second         // so long a loop that is late again and again excuses what is overdue
)
