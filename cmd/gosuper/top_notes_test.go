//go:build linux

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// TestTopNotes: what each worker is doing, who holds which lease, and what went wrong last.
func TestTopNotes(t *testing.T) {
	st := fleetOf(2, 10)
	st.Workers[0].InFlight, st.Workers[0].Status = new(uint64(5)), "warm"
	id := st.Workers[0].ID
	st.Requests = []control.Request{
		{Worker: id, Method: "GET", Path: "/young", AgeSeconds: 1}, {Worker: id, Method: "POST", Path: "/old", AgeSeconds: 61, Streaming: true},
	}
	st.Leases = []control.Lease{{Values: map[string]string{"gpu": "0"}, Worker: new(id)}, {Values: map[string]string{"gpu": "1"}}}
	st.Workers[1].InFlight = new(uint64(2))
	st.Requests = append(st.Requests, control.Request{Worker: st.Workers[1].ID, Method: "GET", Path: "/stuck", AgeSeconds: 30, IdleSeconds: 20, DueSeconds: new(20.0)},
		control.Request{Worker: st.Workers[1].ID, Method: "GET", Path: "/older", AgeSeconds: 60, IdleSeconds: 1, DueSeconds: new(39.0)})
	v := &view{order: orders[0]}
	v.update(reading{status: st, incidents: []control.Incident{
		{Process: control.WorkerProcess, Worker: 9, Reason: "crash", Status: "exit status 1", AgoSeconds: 61, LastLines: []string{"first", "out\nof luck"}}, {},
	}, history: control.History{Points: []control.Point{{AgoSeconds: 1800, InFlight: new(uint64(3))}, {AgoSeconds: 1, InFlight: new(uint64(7))}}}}, time.Now())
	lines, _ := v.screen(200, 24, time.Now())
	screen := strings.Join(lines, "\n")
	for _, want := range []string{
		"POST /old for 1m01s, streaming, and 4 more; warm\n", "GET /stuck for 30s, no progress for 20s, and 1 more\n", "leases  1 of 2 free  gpu=0 worker 1\n", "█ at most 7\n", "last incident  1m01s ago  worker 9  crash  exit status 1  out of luck\n",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("%q is missing in\n%s", want, screen)
		}
	}
}
