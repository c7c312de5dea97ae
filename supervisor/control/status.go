//go:build linux

package control

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Status is what runs, at one moment. All slices are in the order of worker
// ids, the requests of one worker the oldest first, and none is null but
// Requests.
type Status struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
	State   State  `json:"state"`
	// Condition is how the fleet is, ReadyWorkers how many of the WorkersTarget
	// slots have a ready worker.
	Condition    Condition `json:"condition"`
	ReadyWorkers int       `json:"ready_workers"`
	// CrashLoop says more about workers that end again and again; nil: there are
	// none.
	CrashLoop *CrashLoop `json:"crash_loop"`
	// LoaderFailing says more about loaders that fail while workers wait for one; nil:
	// they do not.
	LoaderFailing *LoaderFailing `json:"loader_failing"`
	// Generation is that of the configuration in force: 1 is the one the master
	// started with, and each that is accepted has the next number.
	Generation    int     `json:"generation"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	// WorkersTarget is how many workers are asked for.
	WorkersTarget int `json:"workers_target"`
	// SparesTarget is how many spares are asked for, of which ReadySpares wait.
	SparesTarget int `json:"spares_target"`
	ReadySpares  int `json:"ready_spares"`
	// Sizing says why, where that follows the demand; nil: it does not.
	Sizing *Sizing `json:"sizing"`
	// Overlap says why there are fewer processes at a time than surge and spares allow; nil:
	// there are not.
	Overlap *Overlap `json:"overlap"`
	// Binds are the addresses in force: "tcp://127.0.0.1:8000",
	// "unix:///run/app.sock", "fd://3".
	Binds []string `json:"binds"`
	// Backlog is how many connections wait there to be accepted; a unix socket with any
	// counts as 1.
	Backlog int      `json:"backlog"`
	Workers []Worker `json:"workers"`
	// MemoryBytes is that of workers and loaders together, as far as it was measured; nil:
	// it was not. By PSS what they share counts once.
	MemoryBytes *uint64 `json:"memory_bytes"`
	// Loaders are the processes that workers are forked from, with preload, in the order
	// in which they were started.
	Loaders []Loader `json:"loaders"`
	// Failing are the slots whose workers do not boot, in their order.
	Failing []Failing `json:"failing"`
	// Leases are what workers hold, or could: those of the configuration in force in
	// their order, then others that are still held.
	Leases []Lease `json:"leases"`
	// Requests are those in flight; nil if they were not asked for.
	Requests []Request `json:"requests,omitzero"`
	Counters Counters  `json:"counters"`
	// Unknown says in one sentence why figures are null or those of a part of the
	// workers; "": all of them are known.
	Unknown    string `json:"unknown"`
	LastReload Reload `json:"last_reload"`
}

// State is what the master is doing.
type State string

// The states of a master.
const (
	Starting  State = "starting"  // not all of the first workers have been ready yet
	Running   State = "running"   // nothing special
	Reloading State = "reloading" // replacing workers by those of another configuration
	Stopping  State = "stopping"  // told to end
)

// Worker is one living process.
type Worker struct {
	ID         int  `json:"id"`
	Slot       int  `json:"slot"` // -1: it is a spare, and has none yet
	Place      int  `json:"place"`
	PID        *int `json:"pid"` // nil: the process is still being made
	Generation int  `json:"generation"`
	// State is "starting", "ready", "spare", "draining" or "stopping".
	State string `json:"state"`
	// Cooperating workers report what they do. What plain ones do is not known:
	// their Requests and InFlight are nil, and MaxRequests has no effect on them.
	Cooperating bool    `json:"cooperating"`
	AgeSeconds  float64 `json:"age_seconds"`
	Requests    *uint64 `json:"requests"` // finished
	InFlight    *uint64 `json:"in_flight"`
	// MaxRequests is this worker's own, with its jitter; 0: none.
	MaxRequests int `json:"max_requests"`
	// MemoryBytes is that of the worker and its descendants, 0 if it cannot be
	// told; MemoryKind says how it was counted, RSS in that case.
	MemoryBytes uint64     `json:"memory_bytes"`
	MemoryKind  MemoryKind `json:"memory_kind"`
	// Restarts is how many workers of this slot were started to replace one.
	Restarts uint64 `json:"restarts"`
	// Status is what the worker last said about itself (STATUS= of sd_notify(3)).
	Status string `json:"status"`
	// Recycle is why it is to be replaced while it still serves, or wants to be; "": it is
	// not.
	Recycle string `json:"recycle"`
	// CPUSeconds is the time that the worker and its descendants have had on a
	// processor; nil if it cannot be told.
	CPUSeconds *float64 `json:"cpu_seconds"`
	// Lease is what it holds for life, by resource; empty: nothing.
	Lease map[string]string `json:"lease"`
}

// Lease is what one worker holds for life, until nobody is left of its process group.
type Lease struct {
	Values map[string]string `json:"values"` // by resource
	// Worker is who holds it, or a part of it, and may be gone; nil: it is free.
	// Unkillable says that SIGKILL has not ended who holds it.
	Worker     *int `json:"worker"`
	Unkillable bool `json:"unkillable"`
}

// String is the values for people.
func (l Lease) String() string {
	var values []string
	for _, name := range slices.Sorted(maps.Keys(l.Values)) {
		values = append(values, name+"="+l.Values[name])
	}
	return strings.Join(values, " ")
}

// Holder is who holds it, for people.
func (l Lease) Holder() string {
	switch {
	case l.Worker == nil:
		return "nobody"
	case l.Unkillable:
		return fmt.Sprintf("worker %d, which SIGKILL has not ended", *l.Worker)
	}
	return fmt.Sprintf("worker %d", *l.Worker)
}

// Loader is the process that has loaded an application, of which the workers are
// forked. What it shares with them counts in the PSS of all.
type Loader struct {
	PID        *int `json:"pid"` // nil: it is being made
	Generation int  `json:"generation"`
	// State is "starting", "ready", "stopping", "aborted" (asked for its stacks, since it
	// hangs) or "killed".
	State       string     `json:"state"`
	AgeSeconds  float64    `json:"age_seconds"`
	Forks       uint64     `json:"forks"` // workers that it has made
	MemoryBytes uint64     `json:"memory_bytes"`
	MemoryKind  MemoryKind `json:"memory_kind"`
	CPUSeconds  *float64   `json:"cpu_seconds"`
	// Status is what the loader last said about itself.
	Status string `json:"status"`
}

// MemoryKind says how the memory of a process tree was counted.
type MemoryKind string

// The kinds of memory.
const (
	PSS MemoryKind = "pss" // pages shared by n processes count for 1/n each
	RSS MemoryKind = "rss" // resident pages less those shared with files and others, where the kernel shows no more
)

// Failing is a slot in which so many boots have failed in a row as a reload is
// rolled back for (restart.startup_attempts). They go on.
type Failing struct {
	Slot  int `json:"slot"`
	Boots int `json:"boots"` // failed in a row
	// Error is how the last of them ended, with the last lines of the worker.
	Error string `json:"error"`
}

// Request is one request in flight on a cooperating worker.
type Request struct {
	Worker int    `json:"worker"` // its id
	Method string `json:"method"`
	Path   string `json:"path"` // without the query, cut
	// AgeSeconds is the time since its start, IdleSeconds that since its last
	// progress.
	AgeSeconds  float64 `json:"age_seconds"`
	IdleSeconds float64 `json:"idle_seconds"`
	// DueSeconds is after how long it is ended unless it makes progress, 0 if that should
	// have happened; nil: never.
	DueSeconds *float64 `json:"due_seconds"`
	// Streaming says that the response has begun.
	Streaming bool `json:"streaming"`
	// RequestID is what the client sent, or "".
	RequestID string `json:"request_id,omitempty"`
}

// Silent reports whether the request has made no progress for at least as long as it still
// has before it is ended.
func (r *Request) Silent() bool { return r.DueSeconds != nil && r.IdleSeconds >= *r.DueSeconds }

// Counters are totals since the master started, over all workers that ever
// lived. They never go backwards. What only cooperating workers report is nil
// until one of them has.
type Counters struct {
	Requests *uint64 `json:"requests"` // finished
	Timeouts *uint64 `json:"timeouts"` // ended at their deadline
	// RequestsLost were in flight when their worker ended. InnocentsLost are those
	// among them that a stuck worker took along and that were not to blame for it.
	RequestsLost  *uint64 `json:"requests_lost"`
	InnocentsLost *uint64 `json:"innocents_lost"`
	// Connections were accepted. RequestsUnslotted found no room on their worker's
	// board: they are not listed until they are past their deadline.
	// AccessLinesDropped are lines of the access log that are not in it: workers
	// could not get rid of them, or the master could not write them, or refused them
	// since they were not their worker's.
	Connections        *uint64 `json:"connections"`
	RequestsUnslotted  *uint64 `json:"requests_unslotted"`
	AccessLinesDropped *uint64 `json:"access_lines_dropped"`
	// Restarts are the workers started to replace one, by reason; every reason
	// is present.
	Restarts map[Reason]uint64 `json:"restarts"`
	// RecycleReasons are those of Restarts for Recycle that workers wanted, by the reasons
	// they gave: up to 16 by name, and what came after that together as [OtherReason].
	RecycleReasons map[string]uint64 `json:"recycle_reasons"`
	// LoaderRestarts are the loaders started after the first one, by the end of the one
	// before; every one of [LoaderReasons] is present.
	LoaderRestarts map[Reason]uint64 `json:"loader_restarts"`
}

// Seconds is a duration as the figures here have it: to the millisecond, and 0 if it
// is below.
func Seconds(d time.Duration) float64 { return math.Round(max(float64(d), 0)/1e6) / 1e3 }

// Reason is why a worker was started to replace another.
type Reason string

// The reasons of restarts.
const (
	Crash       Reason = "crash"
	MaxRequests Reason = "max_requests"
	MaxFailures Reason = "max_failures"
	Timeout     Reason = "timeout" // a request, or the watchdog
	Memory      Reason = "memory"
	Lifetime    Reason = "lifetime"
	ByReload    Reason = "reload" // and its rollback
	Scale       Reason = "scale"
	Startup     Reason = "startup" // the one before was not ready in time
	Recycle     Reason = "recycle" // asked for, by an operator or by the worker itself
)

// Reasons returns all reasons, in the order in which they are shown.
func Reasons() []Reason {
	return []Reason{Crash, MaxRequests, MaxFailures, Timeout, Memory, Lifetime, ByReload, Scale, Startup, Recycle}
}

// LoaderReasons returns the reasons of loaders that are started after the first one, in
// the order in which they are shown: startup of one that did not become ready, timeout of
// one that did not answer, crash of any other, and reload.
func LoaderReasons() []Reason { return []Reason{Crash, Startup, Timeout, ByReload} }

// Reload is how the last reload went.
type Reload struct {
	Result Result `json:"result"`
	// Error is why it was refused or rolled back, with the last lines of the
	// worker that failed; else "".
	Error string `json:"error"`
}

// Result is the outcome of a reload.
type Result string

// The results of a reload, and of an upgrade.
const (
	None       Result = "none" // there was no reload yet
	Underway   Result = "running"
	OK         Result = "ok"
	RolledBack Result = "rolled_back" // refused, or given up; what ran before runs on
	Refused    Result = "refused"     // of an upgrade: nothing was changed
)

// whatIsUnknown is what plain workers do not tell.
const whatIsUnknown = "requests, their latency and lost requests"

// InFlight is how many requests the cooperating workers have begun and not
// finished; nil: nobody knows.
func (s *Status) InFlight() *uint64 {
	cooperating, plain := s.kinds()
	if s.Counters.Requests == nil || cooperating == 0 && plain > 0 {
		return nil
	}
	var sum uint64
	for _, w := range s.Workers {
		if w.InFlight != nil {
			sum += *w.InFlight
		}
	}
	return &sum
}

// Explain sets Unknown by what the rest of the status has.
func (s *Status) Explain() {
	const because = ", which do not speak the worker protocol (gosuper help protocol)"
	cooperating, plain := s.kinds()
	switch {
	case plain == 0 && s.Counters.Requests != nil:
		s.Unknown = ""
	case plain == 0:
		s.Unknown = whatIsUnknown + " are not known yet: no worker is ready"
	case cooperating > 0:
		s.Unknown = fmt.Sprintf("%s are those of %d of %d workers: the others are plain ones%s", whatIsUnknown, cooperating, cooperating+plain, because)
	case s.Counters.Requests != nil:
		s.Unknown = whatIsUnknown + " are those of earlier workers: those of now are plain ones" + because
	default:
		s.Unknown = whatIsUnknown + " are not known: the workers are plain ones" + because
	}
}

// kinds counts the workers of which it is known whether they report: one that
// starts may not have got to saying so.
func (s *Status) kinds() (cooperating, plain int) {
	for _, w := range s.Workers {
		switch {
		case w.Cooperating:
			cooperating++
		case w.State != "starting":
			plain++
		}
	}
	return cooperating, plain
}
