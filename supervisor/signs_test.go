//go:build linux

package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// A cooperating worker is watched from outside as soon as it is ready, in
// whatever order it writes its header, says that it is ready and grows old, and
// whether it can be seen to wait for connections or not.
func TestLateHeaderIsWatched(t *testing.T) {
	for _, ready := range []string{"auto", "notify", "1s"} {
		for _, header := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 20 * time.Second} {
			for _, word := range []time.Duration{100 * time.Millisecond, 1200 * time.Millisecond, 30 * time.Second} {
				for _, blind := range []bool{false, true} {
					t.Run(fmt.Sprintf("ready=%s header=%v word=%v blind=%t", ready, header, word, blind), func(t *testing.T) {
						lateHeader(t, ready, header, word, blind)
					})
				}
			}
		}
	}
}

func lateHeader(t *testing.T, ready string, header, word time.Duration, blind bool) {
	b := workerEnds{}
	toml := fmt.Sprintf("workers = 1\nready = %q\nwatchdog = \"4s\"\nmax_requests = 9\n", ready)
	launch := func(st *stage, w *roster.Worker) error {
		if w.ID == 1 {
			return b.blank(st, w)
		}
		return workerEnds{}.launch(st, w)
	}
	play(t, toml, launch, func(st *stage) {
		st.blind.Store(blind)
		type act struct {
			at time.Duration
			do func()
		}
		acts := []act{
			{header, func() { b[1].WriteHeader(noPID + 1) }},
			{word, func() { st.say(1, notify.Message{Ready: true}) }},
		}
		slices.SortFunc(acts, func(a, b act) int { return int(a.at - b.at) })
		for _, a := range acts {
			st.pass(a.at - time.Since(st.start))
			a.do()
		}
		// It never beats: as soon as it is watched it is found to be silent.
		st.pass(30 * time.Second)
		if n := st.log.FilterMessage("worker is stuck: no sign of life").FilterField(zap.Int("worker", 1)).Len(); n != 1 {
			t.Errorf("it was found silent %d times", n)
		}
		st.pass(time.Minute)
		if said := st.log.FilterMessageSnippet("no effect").Len(); said > 0 {
			t.Error("it is said to be a plain worker")
		}
		st.end()
	})
}

// What counts as ready because nobody can tell what it waits for is not ready any
// more when its header says that its word counts.
func TestHeaderTakesReadinessBack(t *testing.T) {
	b := workerEnds{}
	play(t, "workers = 1\n", b.blank, func(st *stage) {
		st.blind.Store(true)
		expect := func(state string) {
			t.Helper()
			if is := st.status().Workers[0].State; is != state {
				t.Errorf("after %v the worker is %s, want %s", time.Since(st.start), is, state)
			}
		}
		st.pass(1100 * time.Millisecond)
		expect("ready")
		b[1].WriteHeader(noPID + 1)
		st.pass(time.Second)
		expect("starting")
		st.say(1, notify.Message{Ready: true})
		expect("ready")
		if n := st.log.FilterMessageSnippet("cannot see whether workers wait").Len(); n != 1 {
			t.Errorf("%d warnings that nobody can tell, want one", n)
		}
		st.end()
	})
}

// A plain worker is ready when it waits for connections and not before, and the
// settings that it cannot honour are named when it has had the time to prove to
// be another kind of worker. From then on the master sleeps.
func TestPlainWorkerIsReadyWhenItWaits(t *testing.T) {
	b := workerEnds{}
	play(t, "workers = 1\nmax_requests = 9\n", b.blank, func(st *stage) {
		st.elsewhere.Store(noPID+1, true)
		st.pass(10 * time.Second)
		if is := st.status().Workers[0].State; is != "starting" {
			t.Errorf("a worker that waits for nothing is %s", is)
		}
		looks := st.waits.Load()
		st.elsewhere.Delete(noPID + 1)
		st.pass(time.Second)
		if is := st.status().Workers[0].State; is != "ready" {
			t.Errorf("a worker that waits for connections is %s", is)
		}
		if looks > 60 {
			t.Errorf("%d looks at its processes in 10 s", looks)
		}
		warned := func() int { return st.log.FilterMessageSnippet("no effect").Len() }
		if st.pass(30 * time.Second); warned() != 0 {
			t.Error("it is taken for a plain worker too early")
		}
		if st.pass(time.Minute); warned() != 1 {
			t.Errorf("%d warnings that max_requests has no effect, want one", warned())
		}
		if looks = st.waits.Load() - looks; looks > 1 {
			t.Errorf("%d looks at its processes after it waited", looks)
		}
		if next := st.master.deadline(); !next.IsZero() {
			t.Errorf("an idle master wakes up in %v", time.Until(next))
		}
		st.end()
	})
}

// Why a plain worker is not ready is said.
func TestPlainWorkerThatServesElsewhere(t *testing.T) {
	play(t, "workers = 1\nstartup_timeout = 10\n[restart]\nstartup_attempts = 1\n", silent, func(st *stage) {
		st.elsewhere.Store(noPID+1, true)
		err, ok := (<-st.result).(*BootError)
		if !ok || !strings.HasPrefix(err.Status, "not ready within startup_timeout: it waits for connections on no socket that it was given") {
			t.Errorf("the master ended with %v", err)
		}
	})
}

// A plain worker that listens on an address of its own, and on none that it was
// given, is told of at once, and once for a configuration; one that takes its time is not.
func TestPlainWorkerThatBindsItself(t *testing.T) {
	play(t, "workers = 2\nstartup_timeout = 60\n", silent, func(st *stage) {
		warned := func() int { return st.log.FilterMessageSnippet("listens on an address of its own").Len() }
		st.elsewhere.Store(noPID+1, true)
		st.elsewhere.Store(noPID+2, true)
		if st.pass(5 * time.Second); warned() != 0 {
			t.Error("a worker that listens nowhere is warned about")
		}
		for pid := noPID + 1; pid <= noPID+2; pid++ {
			st.elsewhere.Store(pid, "127.0.0.1:8001")
		}
		if st.pass(time.Second); warned() != 1 {
			t.Errorf("%d warnings, want one", warned())
		}
		st.pass(20 * time.Second)
		said := st.log.FilterField(zap.Strings("listens_on", []string{"127.0.0.1:8001"}))
		if warned() != 1 || said.FilterMessageSnippet("an address of its own").Len() != 1 {
			t.Errorf("%d warnings, want one with the address: %v", warned(), said.All())
		}
		st.end()
	})
}

// A plain worker that is ready and does not live is a failed boot: the first ones
// end the master.
func TestPlainWorkerThatDoesNotLive(t *testing.T) {
	play(t, "workers = 1\n[restart]\nbackoff_max = 1\n", silent, func(st *stage) {
		for id := 1; id <= 3; id++ {
			st.pass(4 * time.Second) // a backoff included
			st.exit(id, 1)
		}
		if err, ok := (<-st.result).(*BootError); !ok || err.Worker != 3 {
			t.Errorf("the master ended with %v, want the boot error of worker 3", err)
		}
	})
}

// look finds all workers waiting but the busy ones, if anything can be seen.
func (st *stage) look(asked []process.Asked, _ []int, told func(map[int]process.Waiting)) {
	seen := map[int]process.Waiting{}
	for i, a := range asked {
		st.waits.Add(1)
		address, busy := st.elsewhere.Load(a.PID)
		one := process.Waiting{On: slices.Repeat([]bool{!busy && !st.blind.Load()}, len(a.Sockets)), Unsure: st.blind.Load()}
		if text, listens := address.(string); listens {
			one.Elsewhere = []string{text}
		}
		seen[i] = one
	}
	told(seen)
}
