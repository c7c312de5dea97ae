//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// fleetOf is a status of so many workers, the later ones busier.
func fleetOf(n int, requests uint64) control.Status {
	st := control.Status{Name: "agents", PID: 7, State: control.Running, Condition: control.FleetReady, ReadyWorkers: n, Generation: 1, UptimeSeconds: 60, WorkersTarget: n}
	sum := uint64(0)
	for i := range n {
		st.Workers = append(st.Workers, control.Worker{
			ID: i + 1, Slot: i, PID: new(100 + i), Generation: 1, State: "ready", Cooperating: true, AgeSeconds: 60,
			Requests: new(requests * uint64(i+1)), InFlight: new(uint64(i % 3)), MemoryBytes: uint64(n-i) << 20, MemoryKind: control.PSS,
			CPUSeconds: new(float64(requests) / 20 * float64(i+1)),
		})
		sum += requests * uint64(i+1)
	}
	st.Counters.Requests, st.Counters.Timeouts, st.Counters.RequestsLost = &sum, new(uint64), new(uint64)
	return st
}

func TestTopScreen(t *testing.T) {
	now := time.Unix(1000, 0)
	v := &view{order: orders[0]}
	v.update(reading{status: fleetOf(2, 10)}, now)
	st := fleetOf(2, 20)
	st.Backlog = 3
	st.Workers[1].Status = "evil\x1b[2J\nstatus"
	st.Requests = []control.Request{
		{Worker: 2, Method: "GET", Path: "/young", AgeSeconds: 1},
		{Worker: 1, Method: "POST", Path: "/old", AgeSeconds: 100, Streaming: true},
	}
	v.update(reading{status: st}, now.Add(2*time.Second))
	v.sortBy('s')
	v.sortBy('?')
	lines, heads := v.screen(140, 12, now)
	want := []string{
		"agents  ready  2 of 2 workers ready  generation 1  up 1m00s",
		"15.0 requests/s  1 in flight  3 in the backlog  60 requests, 0 timeouts, 0 requests lost; restarts: none",
		"",
		"ID  SLOT  PID  GEN  STATE    AGE  REQUESTS  REQ/S  IN FLIGHT  CPU  CPU TIME      PSS  RESTARTS  STATUS",
		" 2     1  101    1  ready  1m00s        40   10.0          1  50%      2.0s  1.0 MiB         0  GET /young for 1.0s; evil\uFFFD[2J status",
		" 1     0  100    1  ready  1m00s        20    5.0          0  25%      1.0s  2.0 MiB         0  POST /old for 1m40s, streaming",
		"",
		"WORKER    AGE  IDLE             METHOD  PATH    REQUEST ID",
		"     1  1m40s  0.0s  streaming  POST    /old",
		"     2   1.0s  0.0s             GET     /young",
		"",
		"q quit  sort:  i id  s req/s*  f in flight  c cpu  m memory  a age  r restarts",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the screen is\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if !heads[3] || !heads[7] || len(heads) != 2 {
		t.Errorf("heads in lines %v", heads)
	}
	v.trouble = errors.New("no such socket")
	if lines, _ = v.screen(100, 12, now.Add(5*time.Second)); lines[2] != "no answer for 3.0s: no such socket" {
		t.Errorf("the third line is %q", lines[2])
	}
	st.PID++ // another master
	v.update(reading{status: st}, now.Add(6*time.Second))
	if *v.total != 0 || v.trouble != nil {
		t.Errorf("%v requests/s, %v", *v.total, v.trouble)
	}
}

// What plain workers do is not shown as nothing.
func TestTopOfPlainWorkers(t *testing.T) {
	now := time.Unix(1000, 0)
	st := fleetOf(2, 0)
	st.Counters = control.Counters{}
	for i := range st.Workers {
		w := &st.Workers[i]
		w.Cooperating, w.Requests, w.InFlight = false, nil, nil
	}
	st.Explain()
	v := &view{}
	v.update(reading{status: st}, now)
	v.update(reading{status: st}, now.Add(time.Second))
	v.sortBy('f')
	lines, _ := v.screen(200, 12, now)
	want := []string{
		"- requests/s  - in flight  - requests, - timeouts, - requests lost; restarts: none",
		"requests, their latency and lost requests are not known: the workers are plain ones, which do not speak the worker protocol (gosuper help protocol)",
		"ID  SLOT  PID  GEN  STATE    AGE  REQUESTS  REQ/S  IN FLIGHT  CPU  CPU TIME      PSS  RESTARTS  STATUS",
		" 1     0  100    1  ready  1m00s         -      -          -   0%      0.0s  2.0 MiB         0",
	}
	if !slices.Equal(lines[1:5], want) {
		t.Errorf("the screen is\n%s\nwant\n%s", strings.Join(lines[1:5], "\n"), strings.Join(want, "\n"))
	}
}

// Loaders have lines of their own before the workers, and what is wrong with them is
// explained where one looks first.
func TestTopOfLoaders(t *testing.T) {
	now := time.Unix(1000, 0)
	st := fleetOf(1, 0)
	st.Loaders = []control.Loader{{PID: new(99), Generation: 1, State: "ready", AgeSeconds: 60, Forks: 3, CPUSeconds: new(1.0), MemoryBytes: 200 << 20, Status: "2 threads\nrun"}}
	st.LoaderFailing = &control.LoaderFailing{Failures: 2, NextSeconds: 4, Status: "exit status 1", LastLines: strings.Fields("a b c d e f g h i j k l model"), Hint: "mend it"}
	v := &view{order: orders[0]}
	v.update(reading{status: st}, now)
	st.Loaders = []control.Loader{st.Loaders[0], {Generation: 2, State: "starting"}}
	st.Loaders[0].CPUSeconds = new(1.5)
	v.update(reading{status: st}, now.Add(time.Second))
	lines, heads := v.screen(200, 12, now)
	want := []string{
		"the loader failed 2 times in a row: exit status 1 (mend it)",
		"the next start in 4.0s; the last lines of the last one:",
		"  l",
		"  model",
		"    ID  SLOT  PID  GEN  STATE       AGE  REQUESTS  REQ/S  IN FLIGHT  CPU  CPU TIME        PSS  RESTARTS  STATUS",
		"loader     -   99    1  ready     1m00s         -      -          -  50%      1.5s  200.0 MiB         -  3 forks; 2 threads run",
		"loader     -    -    2  starting   0.0s         -      -          -    -         -          -         -  0 forks",
		"     1     0  100    1  ready     1m00s         0    0.0          0   0%      0.0s    1.0 MiB         0",
	}
	if !slices.Equal(lines[2:10], want) || !heads[6] {
		t.Errorf("the screen is\n%s\nwant\n%s", strings.Join(lines[2:10], "\n"), strings.Join(want, "\n"))
	}
}

// A crash loop is explained where one looks first, and the workers stay on the
// screen.
func TestTopOfCrashLoop(t *testing.T) {
	now := time.Unix(1000, 0)
	st := fleetOf(2, 0)
	st.Condition, st.ReadyWorkers = control.FleetCrashLoop, 1
	st.CrashLoop = &control.CrashLoop{Slots: []int{1}, Crashes: 7, NextSeconds: 12, Worker: 9, Status: "exit status 1", LastLines: strings.Fields("a b c d e f g h no\x1bmodel")}
	v := &view{order: orders[0]}
	v.update(reading{status: st}, now)
	lines, heads := v.screen(200, 12, now)
	want := []string{
		"agents  crash loop  1 of 2 workers ready  generation 1  up 1m00s", lines[1],
		"slot 1 is in a crash loop: 7 crashes in a row, the next start in 12s",
		"worker 9: exit status 1; its last lines:",
		"  h",
		"  no\uFFFDmodel",
	}
	if !slices.Equal(lines[:6], want) || !heads[6] {
		t.Errorf("the screen is\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// Whatever the size of the terminal, the screen fits.
func TestTopFits(t *testing.T) {
	for _, width := range []int{1, 20, 80, 300} {
		for _, height := range []int{1, 2, 3, 4, 5, 10, 24, 100} {
			t.Run(fmt.Sprintf("%dx%d", width, height), func(t *testing.T) {
				v := &view{order: orders[0]}
				st := fleetOf(30, 1)
				for i := range 50 {
					st.Requests = append(st.Requests, control.Request{Worker: i, Path: strings.Repeat("ü", 200)})
				}
				v.update(reading{status: st}, time.Unix(1000, 0))
				lines, _ := v.screen(width, height, time.Unix(1000, 0))
				if len(lines) != height {
					t.Errorf("%d lines", len(lines))
				}
				for _, l := range lines {
					if n := len([]rune(l)); n > width {
						t.Errorf("%d letters: %s", n, l)
					}
				}
				if height == 10 && width == 80 && lines[8] != "... and 26 more" {
					t.Errorf("the last line but one is %q", lines[8])
				}
			})
		}
	}
}

func TestTopOrders(t *testing.T) {
	now := time.Unix(1000, 0)
	v := &view{}
	v.update(reading{status: fleetOf(3, 10)}, now)
	v.update(reading{status: fleetOf(3, 30)}, now.Add(time.Second))
	for key, want := range map[byte]string{'i': "1 2 3", 'c': "3 2 1", 's': "3 2 1", 'f': "3 2 1", 'm': "1 2 3", 'a': "1 2 3"} {
		v.sortBy(key)
		lines, _ := v.screen(200, 24, now)
		var ids []string
		for _, l := range lines[4:7] {
			ids = append(ids, strings.Fields(l)[0])
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("by %c: workers %s, want %s", key, got, want)
		}
	}
}

// TestNarrowScreen: on a terminal of 80 columns there is room for what workers do and take.
func TestNarrowScreen(t *testing.T) {
	st := fleetOf(64, 10)
	st.Name, st.Sizing = "chat-agent", &control.Sizing{Why: "2 to 8 workers: 13 in flight and 0 waiting need 4, at 4 each; the others end when they were not needed for idle_timeout"}
	st.Counters = control.Counters{Requests: new(uint64(5424)), Timeouts: new(uint64(7)), RequestsLost: new(uint64(24)), Restarts: map[control.Reason]uint64{control.Crash: 8, control.Timeout: 7, control.Scale: 4}}
	for i := range st.Workers {
		w := &st.Workers[i]
		w.PID, w.Requests, w.MaxRequests, w.InFlight, w.CPUSeconds, w.AgeSeconds = new(29843+i), new(uint64(491)), 3000, new(uint64(4)), new(1.5), 287
	}
	last := st.Workers[len(st.Workers)-1].ID
	st.Requests = []control.Request{{Worker: st.Workers[0].ID, Method: "GET", Path: "/agent/stream", AgeSeconds: 12, Streaming: true}}
	for range 3 {
		st.Requests = append(st.Requests, control.Request{Worker: last, Method: "GET", Path: "/stuck", AgeSeconds: 30, IdleSeconds: 30, DueSeconds: new(10.0)})
	}
	v := &view{order: orders[0]}
	v.update(reading{status: st}, time.Now())
	lines, _ := v.screen(80, 24, time.Now())
	screen := strings.Join(lines, "\n")
	for _, want := range []string{
		"GET /agent/stream for 12s, st", fmt.Sprintf("no progress for 30s  worker %d  GET /stuck  is ended in 10s\n", last), "and 1 more without progress\n",
		"\n  when they were not needed for idle_timeout\n", "\n  restarts: crash 8 timeout 7 scale 4\n", "more\nq quit  sort:", "r restarts",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("%q is missing in\n%s", want, screen)
		}
	}
	if strings.Contains(screen, "CPU TIME") || strings.Contains(screen, "RESTARTS") {
		t.Errorf("there is more than has room in\n%s", screen)
	}
	v.sortBy('r')
	if lines, _ = v.screen(80, 24, time.Now()); !strings.Contains(strings.Join(lines, "\n"), "RESTARTS") {
		t.Errorf("what it is sorted by is missing in\n%s", strings.Join(lines, "\n"))
	}
	for width, want := range map[int][]string{
		20: {"one  two  three"}, 15: {"one  two  three"}, 14: {"one  two", "  three"}, 5: {"one", "  two  three"}, 2: {"one  two  three"},
	} {
		if got := fold("one  two  three", width); !slices.Equal(got, want) {
			t.Errorf("in %d letters it is %q, want %q", width, got, want)
		}
	}
}
