//go:build linux

package main

import (
	"math"
	"slices"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

func TestStatusText(t *testing.T) {
	st := control.Status{
		Name: "agents", PID: 7, Version: "v1.2.3", State: control.Reloading, Condition: control.FleetReloading, ReadyWorkers: 1, Generation: 3, UptimeSeconds: 93784, WorkersTarget: 2,
		Binds: []string{"tcp://127.0.0.1:8000", "unix:///run/agents"}, MemoryBytes: new(uint64(3 << 29)),
		Workers: []control.Worker{
			{ID: 9, PID: new(412), Generation: 3, State: "ready", Cooperating: true, AgeSeconds: 4000, Requests: new(uint64(120)), InFlight: new(uint64(2)), MaxRequests: 1000, MemoryBytes: 3 << 29, MemoryKind: control.PSS, Restarts: 12, CPUSeconds: new(83.5), Status: "größer", Recycle: "stale_model"},
			{ID: 10, Slot: 1, Place: 2, Generation: 3, State: "starting", AgeSeconds: 0.25, MemoryKind: control.RSS},
			{ID: 11, Slot: 1, Place: 1, PID: new(41200), Generation: 2, State: "draining", AgeSeconds: 75, MemoryBytes: 5 << 20, MemoryKind: control.RSS},
		},
		Requests: []control.Request{
			{Worker: 9, Method: "POST", Path: "/agent", AgeSeconds: 61, IdleSeconds: 61, RequestID: "a1"},
			{Worker: 9, Method: "GET", Path: "/agent/stream", AgeSeconds: 12, IdleSeconds: 0.05, Streaming: true},
		},
		Counters:   control.Counters{Requests: new(uint64(1234)), Timeouts: new(uint64(1)), RequestsLost: new(uint64(2)), Restarts: map[control.Reason]uint64{control.Crash: 3, control.ByReload: 9, control.Recycle: 4}, RecycleReasons: map[string]uint64{"stale_model": 1, "cuda_error": 2}},
		LastReload: control.Reload{Result: control.RolledBack, Error: "worker 8: exit status 1; its last lines:\n  no model"},
	}
	want := `agents  reloading  1 of 2 workers ready  generation 3  up 1d02h  1.5 GiB of memory  pid 7  version v1.2.3
bind tcp://127.0.0.1:8000 unix:///run/agents

ID  SLOT    PID  GEN  STATE       AGE  REQUESTS  IN FLIGHT  CPU TIME   MEMORY  RESTARTS  STATUS
 9     0    412    3  ready     1h06m  120/1000          2     1m23s  1.5 GiB        12  to be replaced: stale_model; größer
10     1      -    3  starting   0.2s         -          -         -        -         0
11     1  41200    2  draining  1m15s         -          -         -  5.0 MiB         0

WORKER    AGE   IDLE             METHOD  PATH           REQUEST ID
     9  1m01s  1m01s             POST    /agent         a1
     9    12s   0.1s  streaming  GET     /agent/stream

1234 requests, 1 timeouts, 2 requests lost; restarts: crash 3 reload 9 recycle 4 (cuda_error 2, stale_model 1)
requests, their latency and lost requests are those of 1 of 2 workers: the others are plain ones, which do not speak the worker protocol (gosuper help protocol)
last reload rolled back: worker 8: exit status 1; its last lines:
  no model
`
	st.Explain()
	if got := statusText(st, math.MaxInt); got != want {
		t.Errorf("the status is\n%s\nwant\n%s", got, want)
	}
	st.Workers, st.Requests = st.Workers[2:], []control.Request{}
	st.Counters, st.LastReload = control.Counters{}, control.Reload{Result: control.Underway}
	st.Overlap = &control.Overlap{LimitBytes: 400 << 20, LeftBytes: 52 << 20, ProcessBytes: 119<<20 + 1}
	st.Overlap.Explain()
	st.Explain()
	st.Condition, st.ReadyWorkers = control.FleetCrashLoop, 0
	st.CrashLoop = &control.CrashLoop{Slots: []int{0, 1}, Crashes: 18, Worker: 40, Status: "exit status 1", LastLines: []string{"Traceback", "no model"}}
	want = `agents  crash loop  0 of 2 workers ready  generation 3  up 1d02h  1.5 GiB of memory  pid 7  version v1.2.3
bind tcp://127.0.0.1:8000 unix:///run/agents

slots 0, 1 are in a crash loop: 18 crashes in a row, a new worker is there
worker 40: exit status 1; its last lines:
  Traceback
  no model

ID  SLOT    PID  GEN  STATE       AGE  REQUESTS  IN FLIGHT  CPU TIME      RSS  RESTARTS  STATUS
11     1  41200    2  draining  1m15s         -          -         -  5.0 MiB         0

overlap reduced: memory has no room for a replacement beside its worker, nor for a spare: 52 MiB of 400 are left, and one takes 120

no request is in flight

- requests, - timeouts, - requests lost; restarts: none
requests, their latency and lost requests are not known: the workers are plain ones, which do not speak the worker protocol (gosuper help protocol)
last reload running
`
	if got := statusText(st, math.MaxInt); got != want {
		t.Errorf("the status is\n%s\nwant\n%s", got, want)
	}
}

// TestReadable: what a master says cannot act on a terminal.
// Every lease is listed with who holds it.
func TestLeasesText(t *testing.T) {
	got := leasesText([]control.Lease{
		{Values: map[string]string{"gpu": "0", "port": "8001"}, Worker: new(12)},
		{Values: map[string]string{"gpu": "1", "port": "8002"}},
		{Values: map[string]string{"gpu": "2", "port": "8003"}, Worker: new(7), Unkillable: true},
	})
	want := "LEASE            HELD BY\n" +
		"gpu=0 port=8001  worker 12\n" +
		"gpu=1 port=8002  nobody\n" +
		"gpu=2 port=8003  worker 7, which SIGKILL has not ended\n"
	if got != want {
		t.Errorf("it says\n%s", got)
	}
}

func TestReadable(t *testing.T) {
	for text, want := range map[string]string{
		"ok, größer\n  €": "ok, größer\n  €",
		"\x1b[2Jgone\r":   "\uFFFD[2Jgone\uFFFD",
		"\u009b2J\u202e":  "\uFFFD2J\uFFFD",
		"\xff":            "\uFFFD",
	} {
		if got := readable(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestNegativeNumbersAreNoFlags(t *testing.T) {
	for _, c := range []struct{ args, want []string }{
		{[]string{"-2"}, []string{"--", "-2"}},
		{[]string{"-2", "--control", "/c"}, []string{"--control", "/c", "--", "-2"}},
		{[]string{"--control", "/c", "--", "-2"}, []string{"--control", "/c", "--", "-2"}},
		{[]string{"+2", "-c", "f"}, []string{"+2", "-c", "f"}},
		{[]string{"-h"}, []string{"-h"}},
	} {
		if got := apart(c.args); !slices.Equal(got, c.want) {
			t.Errorf("%q become %q, want %q", c.args, got, c.want)
		}
	}
}
