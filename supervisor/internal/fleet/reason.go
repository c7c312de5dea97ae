package fleet

import (
	"maps"
	"slices"
)

// Reason says why something was done. Beside those below there are the reasons
// that workers give for wanting to be replaced, which may be any text but these.
type Reason string

// The reasons of spawns, retirements and kills.
const (
	ReasonStart    Reason = "start"        // the first workers
	ReasonCrash    Reason = "crash"        // exited without having been asked to
	ReasonStartup  Reason = "startup"      // did not become ready
	ReasonTimeout  Reason = "timeout"      // stuck: a request does not end
	ReasonWatchdog Reason = "watchdog"     // stuck: no sign of life
	ReasonMemory   Reason = "memory"       // takes too much memory
	ReasonLifetime Reason = "lifetime"     // was ready for long enough
	ReasonRequests Reason = "max_requests" // served enough requests, as it says itself
	ReasonFailures Reason = "max_failures" // fails while others do not
	ReasonReload   Reason = "reload"       // of an older revision
	ReasonRollback Reason = "rollback"     // of a revision that was given up
	ReasonScale    Reason = "scale"        // the number of workers changed
	ReasonRecycle  Reason = "recycle"      // an operator asked for it
	ReasonLeft     Reason = "left"         // said STOPPING=1 on its own account
	ReasonSpare    Reason = "spare"        // a spare is missing
	ReasonSurplus  Reason = "surplus"      // its slot has another ready worker
	ReasonStop     Reason = "stop"         // the master stops
	ReasonGrace    Reason = "grace"        // still alive when its grace was over
)

// reasons are all of them, and whether a worker may be spawned for it.
var reasons = map[Reason]bool{
	ReasonStart: true, ReasonCrash: true, ReasonStartup: true, ReasonTimeout: true, ReasonWatchdog: true, ReasonMemory: true,
	ReasonLifetime: true, ReasonRequests: true, ReasonFailures: true, ReasonReload: true, ReasonRollback: true, ReasonScale: true, ReasonRecycle: true, ReasonLeft: true,
	ReasonSpare:   true,
	ReasonSurplus: false, ReasonStop: false, ReasonGrace: false,
}

// SpawnReasons returns the reasons above for which a worker may be spawned,
// sorted: whoever counts by reason can have a test say that none is missing.
func SpawnReasons() []Reason {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(reasons)), func(r Reason) bool { return !reasons[r] })
}

// Given returns the reason that a worker gives for wanting to be replaced. What
// only the master can know it cannot say: that is a wish like any other.
func Given(text string) Reason {
	r := Reason(text)
	switch _, taken := reasons[r]; {
	case !taken, r == ReasonRequests, r == ReasonMemory, r == ReasonLifetime:
		return r
	}
	return ReasonRecycle
}
