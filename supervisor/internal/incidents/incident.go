//go:build linux

package incidents

import (
	"slices"
	"strings"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// How much is kept of one incident: so many bytes of its last lines and of its stacks.
const (
	MaxText   = 4 << 10
	MaxStacks = 16 << 10
)

// Incident is the end of one worker that nobody asked for, or that had to be forced, or
// of a loader that failed.
type Incident struct {
	Worker     int       `json:"worker"` // its id, which is never used twice; 0: it is a loader
	Slot       int       `json:"slot"`
	PID        int       `json:"pid"`
	Generation int       `json:"generation"`
	At         time.Time `json:"at"` // zero: before incidents were dated
	// Reason is why it went, a word as in the log: "crash", "startup", "timeout",
	// or what the worker itself gave as one.
	Reason string `json:"reason"`
	// Status is how it ended: "exit status 1", "killed by SIGKILL".
	Status string        `json:"status"`
	Age    time.Duration `json:"age"`
	// Memory is what it and its descendants took, in bytes, when that was measured last; 0:
	// it never was.
	Memory     uint64 `json:"memory,omitempty"`
	MemoryKind string `json:"memory_kind,omitempty"` // "pss" or "rss"
	// Lost is how many requests it took along; nil: nobody knows.
	Lost *uint64 `json:"lost,omitempty"`
	// Held are the requests that it had.
	Held Held `json:"held,omitzero"`
	// Lines are the last that it wrote, oldest first, before it was asked for its stacks.
	Lines []string `json:"lines,omitempty"`
	// Stacks is what it wrote when it was asked for them.
	Stacks []string `json:"stacks,omitempty"`
}

// bounded is the incident with no more text than is kept of one.
func (i Incident) bounded() Incident {
	i.Lines, i.Stacks = newest(i.Lines, MaxText), oldest(i.Stacks, MaxStacks)
	i.Held.Requests = slices.Clip(i.Held.Requests)
	return i
}

// newest are the last lines that have so many bytes together, the first of them cut
// if need be.
func newest(lines []string, room int) []string {
	for at, line := range slices.Backward(lines) {
		if room -= len(line) + 1; room < 0 {
			kept := slices.Clone(lines[at:])
			if kept[0] = "..." + tail(line, len(line)+room); kept[0] == "..." {
				kept = kept[1:]
			}
			return kept
		}
	}
	return lines
}

// tail is the end of a text, of at most so many bytes and in whole letters.
func tail(text string, size int) string {
	for at := range text {
		if len(text)-at <= size {
			return text[at:]
		}
	}
	return ""
}

// oldest are the first lines that have so many bytes together. What is left out after
// them is said in a last one.
func oldest(lines []string, room int) []string {
	for at, line := range lines {
		if room -= len(line) + 1; room < 0 {
			return append(slices.Clone(lines[:at]), "...")
		}
	}
	return lines
}

// size is how many bytes of text there are.
func size(lines []string) int { return len(strings.Join(lines, "\n")) }

// Answer is all incidents for people and programs, the newest first. Those of a version
// that kept no more than last lines are not among them.
func (i *Incidents) Answer(now time.Time) control.Incidents {
	found := control.Incidents{Incidents: []control.Incident{}}
	for _, one := range slices.Backward(i.All) {
		if !one.At.IsZero() {
			found.Incidents = append(found.Incidents, one.Answer(now))
		}
	}
	return found
}

// Answer is the incident for people and programs.
func (i Incident) Answer(now time.Time) control.Incident {
	a := control.Incident{
		Process: control.WorkerProcess, Worker: i.Worker, Slot: i.Slot, PID: i.PID, Generation: i.Generation,
		At: i.At.Format(time.RFC3339Nano), AgoSeconds: control.Seconds(now.Sub(i.At)), Reason: i.Reason, Status: i.Status,
		AgeSeconds: control.Seconds(i.Age), MemoryKind: control.RSS, RequestsLost: i.Lost, RequestsMore: i.Held.More,
		LastLines: list(i.Lines), Stacks: list(i.Stacks),
	}
	if i.Worker == 0 {
		a.Process = control.LoaderProcess
	}
	if i.Memory > 0 {
		a.MemoryBytes, a.MemoryKind = new(i.Memory), control.MemoryKind(i.MemoryKind)
	}
	if i.Held.Known {
		a.Requests = make([]control.HeldRequest, len(i.Held.Requests))
		for n, r := range i.Held.Requests {
			a.Requests[n] = control.HeldRequest{
				Method: r.Method, Path: r.Path, RequestID: r.ID,
				AgeSeconds: control.Seconds(r.Age), IdleSeconds: control.Seconds(r.Idle), Sent: string(r.Sent),
			}
		}
	}
	return a
}

// list is never null.
func list(lines []string) []string { return append([]string{}, lines...) }
