//go:build linux

package incidents

import (
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

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
