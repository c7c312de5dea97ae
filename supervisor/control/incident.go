//go:build linux

package control

import (
	"slices"
	"strings"
)

// Incidents are the last ends of workers that nobody asked for, or that had to be
// forced, and of loaders that failed, the newest first.
type Incidents struct {
	Incidents []Incident `json:"incidents"`
}

// Incident is the end of one worker, or of a loader.
type Incident struct {
	Process string `json:"process"` // WorkerProcess or LoaderProcess
	Worker  int    `json:"worker"`  // its id; 0: it is a loader
	Slot    int    `json:"slot"`
	PID     int    `json:"pid"`
	// Generation is that of its configuration; 0: it was never accepted.
	Generation int `json:"generation"`
	// At is when it was gone, as in RFC 3339; AgoSeconds is the time since then.
	At         string  `json:"at"`
	AgoSeconds float64 `json:"ago_seconds"`
	// Reason is why it went: "crash", "startup", "timeout", ..., or what the worker
	// gave as one. Status is how it ended: "exit status 1".
	Reason     string  `json:"reason"`
	Status     string  `json:"status"`
	AgeSeconds float64 `json:"age_seconds"` // how old it was
	// MemoryBytes is what it took when that was measured last; nil: it never was.
	MemoryBytes *uint64    `json:"memory_bytes"`
	MemoryKind  MemoryKind `json:"memory_kind"`
	// RequestsLost is how many requests it took along; nil: nobody knows.
	RequestsLost *uint64 `json:"requests_lost"`
	// Requests are those that it held, the oldest first, and RequestsMore is how many
	// there were beside them; nil: nobody knows.
	Requests     []HeldRequest `json:"requests"`
	RequestsMore int           `json:"requests_more"`
	LastLines    []string      `json:"last_lines"`
	// Stacks is what it wrote when it was asked for them.
	Stacks []string `json:"stacks"`
}

// Detail is what of it stands in one line: the last that it wrote, or, where that is nothing
// or stacks, which requests it held, those alone that were past their limit if there are any;
// "": there is nothing.
func (i *Incident) Detail() string {
	last := ""
	if n := len(i.LastLines); n > 0 {
		last = i.LastLines[n-1]
	}
	if held := i.held(); held != "" && (last == "" || len(i.Stacks) > 0) {
		return held
	}
	return last
}

func (i *Incident) held() string {
	ended := slices.ContainsFunc(i.Requests, func(r HeldRequest) bool { return r.Sent == "ended" })
	var kinds []string
	for _, r := range i.Requests {
		if kind := r.Method + " " + r.Path; (r.Sent == "ended" || !ended) && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	switch n := len(kinds); {
	case n == 0:
		return ""
	case n > mostKinds:
		kinds = append(kinds[:mostKinds], "...")
	}
	return "held " + strings.Join(kinds, ", ")
}

// mostKinds of requests are named in one line.
const mostKinds = 3

// The processes whose end is an incident.
const (
	WorkerProcess = "worker"
	LoaderProcess = "loader"
)

// IncidentReasons returns the reasons that there are without workers that have reasons of
// their own, in the order in which they are shown.
func IncidentReasons() []string {
	return []string{"crash", "startup", "timeout", "watchdog", "memory", "max_failures"}
}

// OtherReason counts the incidents for which workers gave reasons of their own when there
// were too many of those already.
const OtherReason = "other"

// HeldRequest is one that a worker held when it died.
type HeldRequest struct {
	Method      string  `json:"method"`
	Path        string  `json:"path"` // without the query
	RequestID   string  `json:"request_id"`
	AgeSeconds  float64 `json:"age_seconds"`
	IdleSeconds float64 `json:"idle_seconds"` // since its last progress
	// Sent is what its client has got: "nothing", "begun" (a part of the response),
	// "upgraded", or "ended" (it was answered or cut at its deadline).
	Sent string `json:"sent"`
}
