//go:build linux

package supervisor

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// workerEnds are the workers' ends of the boards, by worker.
type workerEnds map[int]*scoreboard.Board

// launch gives each worker a board with its header written.
func (b workerEnds) launch(st *stage, w *roster.Worker) error {
	if err := b.blank(st, w); err != nil {
		return err
	}
	b[w.ID].WriteHeader(w.PID)
	return nil
}

// blank gives each worker a board without a header.
func (b workerEnds) blank(st *stage, w *roster.Worker) error {
	m, err := scoreboard.Create()
	if err != nil {
		st.t.Skip("no shared memory here")
	}
	st.t.Cleanup(func() { m.Close() })
	w.Memory, w.Limit = m, w.Rev.Config.MaxRequests
	b[w.ID], err = scoreboard.Open(int(m.File().Fd()))
	return err
}

func (st *stage) status() control.Status {
	st.t.Helper()
	got, err := st.master.api().Status(st.t.Context(), true)
	if err != nil {
		st.t.Fatal(err)
	}
	return got
}

func TestStatus(t *testing.T) {
	b := workerEnds{}
	play(t, "name = \"agents\"\nworkers = 2\nmax_requests = 100\n", b.launch, func(st *stage) {
		if got := st.status(); got.State != control.Starting || len(got.Workers) != 2 || got.Workers[0].State != "starting" || got.Requests == nil {
			t.Errorf("at first it says %+v", got)
		}
		st.pass(time.Second)
		st.say(1, notify.Message{Ready: true})
		st.say(2, notify.Message{Ready: true, HasStatus: true, Status: "model loaded"})
		b[1].RequestStarted()
		b[1].RequestFinished(200)
		for _, path := range []string{"/first", "/second"} {
			b[1].RequestStarted()
			b[1].Take(scoreboard.NoSlot, scoreboard.Monotonic()-int64(2*time.Second), 0, "GET", path, "id-7")
		}
		b[1].Mark(1, scoreboard.Streaming)
		b[1].Progress(1, scoreboard.Monotonic())
		got := st.status()
		if got.Name != "agents" || got.PID != os.Getpid() || got.State != control.Running || got.Generation != 1 || got.UptimeSeconds != 1 ||
			got.WorkersTarget != 2 || len(got.Binds) != 1 || !strings.HasPrefix(got.Binds[0], "tcp://127.0.0.1:") {
			t.Errorf("the master is %+v", got)
		}
		want := control.Worker{
			ID: 1, PID: new(noPID + 1), Generation: 1, State: "ready", Cooperating: true, AgeSeconds: 1,
			Requests: new(uint64(1)), InFlight: new(uint64(2)), MaxRequests: 100, MemoryBytes: 10 << 20, MemoryKind: control.PSS, Lease: map[string]string{},
		}
		if !reflect.DeepEqual(got.Workers[0], want) {
			t.Errorf("worker 1 is %+v, want %+v", got.Workers[0], want)
		}
		if got.Workers[1].Status != "model loaded" || got.Workers[1].Slot != 1 || got.Workers[1].Place != 1 {
			t.Errorf("worker 2 is %+v", got.Workers[1])
		}
		if len(got.Requests) != 2 {
			t.Fatalf("requests %+v, want two", got.Requests)
		}
		first, second := got.Requests[0], got.Requests[1]
		if first.Worker != 1 || first.Method != "GET" || first.Path != "/first" || first.RequestID != "id-7" || first.Streaming ||
			first.AgeSeconds < 2 || first.IdleSeconds < 2 {
			t.Errorf("the first request is %+v", first)
		}
		if second.Path != "/second" || !second.Streaming || second.AgeSeconds < 2 || second.IdleSeconds >= 2 {
			t.Errorf("the second request is %+v", second)
		}
		if h, err := st.master.api().Health(st.t.Context()); err != nil || h != (control.Health{Healthy: true, Ready: true, State: control.Running, Condition: control.FleetReady, ReadyWorkers: 2, WorkersTarget: 2}) {
			t.Errorf("its health is %+v, %v", h, err)
		}
		st.kill(15)
		if h, err := st.master.api().Health(st.t.Context()); err != nil || h != (control.Health{Healthy: true, State: control.Stopping, Condition: control.FleetStopping, WorkersTarget: 2}) {
			t.Errorf("while stopping its health is %+v, %v", h, err)
		}
		if got := st.status(); got.State != control.Stopping || got.Workers[0].State != "draining" {
			t.Errorf("while stopping it says %+v", got)
		}
		st.kill(3)
		<-st.result
		if _, err := st.master.api().Status(st.t.Context(), false); err == nil {
			t.Error("a master that has ended answers")
		}
	})
}

// TestTotalsOutliveWorkers also has a worker that makes its counters go backwards.
func TestTotalsOutliveWorkers(t *testing.T) {
	b := workerEnds{}
	play(t, "workers = 1\n", b.launch, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		for range 3 {
			b[1].RequestStarted()
			b[1].RequestFinished(200)
		}
		if got := st.status().Counters.Requests; *got != 3 {
			t.Errorf("%d requests, want 3", *got)
		}
		b[1].RequestStarted()
		b[1].RequestFinished(200)
		st.exit(1, 9)
		st.say(2, notify.Message{Ready: true})
		b[2].RequestStarted()
		b[2].RequestFinished(500)
		got := st.status()
		if *got.Counters.Requests != 5 || *got.Workers[0].Requests != 1 || got.Workers[0].Restarts != 1 {
			t.Errorf("totals %+v, worker %+v", got.Counters, got.Workers[0])
		}
		st.kill(3)
		<-st.result
	})
}

// TestPlainWorkersAreUnknown: what nobody reports is null, with a sentence that
// says why, and not 0.
func TestPlainWorkersAreUnknown(t *testing.T) {
	b := workerEnds{}
	plain := map[int]bool{1: true, 2: true}
	launch := func(st *stage, w *roster.Worker) error {
		if plain[w.ID] {
			return silent(st, w)
		}
		return b.launch(st, w)
	}
	play(t, "workers = 2\nready = \"1s\"\n[restart]\nreset_after = 1\n", launch, func(st *stage) {
		says := func(sentence string, total *uint64, inFlight ...*uint64) {
			t.Helper()
			got := st.status()
			if !strings.HasPrefix(got.Unknown, sentence) || sentence == "" && got.Unknown != "" {
				t.Errorf("it says %q, want %q", got.Unknown, sentence)
			}
			var each []*uint64
			for _, w := range got.Workers {
				each = append(each, w.InFlight)
			}
			c := got.Counters
			if !reflect.DeepEqual(c.Requests, total) || !reflect.DeepEqual(append(each, got.InFlight()), inFlight) ||
				(c.Timeouts == nil) != (total == nil) || (c.RequestsLost == nil) != (total == nil) || (c.InnocentsLost == nil) != (total == nil) {
				t.Errorf("counters %+v, in flight %v of %v", c, got.InFlight(), each)
			}
			m, err := st.master.api().Metrics(st.t.Context())
			if err != nil || (m.Codes == nil) != (total == nil) || (m.Durations == nil) != (total == nil) {
				t.Errorf("metrics %v, %v", m, err)
			}
		}
		says("requests, their latency and lost requests are not known yet", nil, nil, nil, nil)
		st.pass(2 * time.Second)
		says("requests, their latency and lost requests are not known: the workers are plain ones", nil, nil, nil, nil)
		st.exit(1, 9)
		st.say(3, notify.Message{Ready: true})
		b[3].RequestStarted()
		one := uint64(1)
		says("requests, their latency and lost requests are those of 1 of 2 workers", new(uint64), nil, &one, &one)
		b[3].RequestFinished(200)
		st.exit(2, 9)
		st.say(4, notify.Message{Ready: true})
		says("", &one, new(uint64), new(uint64), new(uint64))
		plain[5], plain[6] = true, true
		st.exit(3, 9)
		st.exit(4, 9)
		st.pass(10 * time.Second)
		says("requests, their latency and lost requests are those of earlier workers", &one, nil, nil, nil)
		st.kill(3)
		<-st.result
		stopped := st.log.FilterMessage("stopped").All()
		if len(stopped) != 1 || stopped[0].ContextMap()["requests"] != one {
			t.Errorf("stopped: %v", stopped)
		}
	})
	play(t, "workers = 1\n", silent, func(st *stage) {
		st.pass(2 * time.Second)
		st.kill(3)
		<-st.result
		for _, line := range st.log.FilterMessage("stopped").All() {
			if len(line.Context) > 0 {
				t.Errorf("of plain workers it says %v", line.Context)
			}
		}
	})
}

// TestRequestsLost: what was in flight when a worker died is lost, whatever it
// died of, and what was ended at its deadline is not.
func TestRequestsLost(t *testing.T) {
	b := workerEnds{}
	play(t, "workers = 1\n", b.launch, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		for range 4 {
			b[1].RequestStarted()
		}
		b[1].TimedOut()
		b[1].RequestFinished(504)
		st.exit(1, 9)
		if c := st.status().Counters; *c.RequestsLost != 3 || *c.InnocentsLost != 0 {
			t.Errorf("counters %+v, want 3 lost", c)
		}
		lines := st.log.FilterMessage("worker crashed").All()
		if len(lines) != 1 || lines[0].ContextMap()["requests_lost"] != uint64(3) {
			t.Errorf("the log says %v", lines)
		}
		if lost := st.successor().books.Counters(0).RequestsLost; *lost != 3 {
			t.Errorf("after an upgrade %d are lost, want 3", *lost)
		}
		st.kill(3)
		<-st.result
	})
}

// TestBoardCounters: what boards count besides requests is in the status, and the lines
// of the access log that workers drop are said in the log, once a minute at most, also
// when nobody asks.
func TestBoardCounters(t *testing.T) {
	b := workerEnds{}
	play(t, "workers = 1\ntimeout = 10\n", b.launch, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		b[1].ConnAccepted()
		for range scoreboard.MaxSlots + 2 {
			b[1].Free(b[1].Take(scoreboard.NoSlot, 1, 0, "GET", "/", ""))
		}
		var kept []int
		for range scoreboard.MaxSlots + 3 {
			kept = append(kept, b[1].Take(scoreboard.NoSlot, scoreboard.Monotonic(), 0, "GET", "/", ""))
		}
		for _, slot := range kept {
			b[1].Free(slot)
		}
		says := func(lines ...uint64) {
			t.Helper()
			var got []uint64
			for _, e := range st.log.FilterMessage("workers dropped lines of the access log").All() {
				got = append(got, e.ContextMap()["lines"].(uint64))
			}
			if !slices.Equal(got, lines) {
				t.Errorf("the log says %v lines, want %v", got, lines)
			}
		}
		for range 5 {
			b[1].LogDropped()
		}
		says()
		st.pass(12 * time.Second)
		says(5)
		b[1].LogDropped()
		c := st.status().Counters
		if *c.Connections != 1 || *c.RequestsUnslotted != 3 || *c.AccessLinesDropped != 6 {
			t.Errorf("counters: %d connections, %d without a slot, %d lines", *c.Connections, *c.RequestsUnslotted, *c.AccessLinesDropped)
		}
		says(5)
		st.pass(75 * time.Second)
		says(5, 1)
		(&report.Report{Books: st.successor().books}).WarnDropped(time.Now())
		says(5, 1)
		b[1].LogDropped()
		st.pass(2 * time.Minute)
		says(5, 1, 1)
		st.kill(3)
		<-st.result
	})
}
