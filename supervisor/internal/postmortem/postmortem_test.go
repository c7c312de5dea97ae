//go:build linux

package postmortem

import (
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/archive"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/limits"
	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

const pid = 1 << 23 // and those from here on are above every pid

// house is a master whose workers end.
type house struct {
	Postmortems
	t     *testing.T
	log   *observer.ObservedLogs
	taken chan struct{} // closed: whoever reads the output of workers takes it

	mu   sync.Mutex
	text strings.Builder // what was taken
}

func newHouse(t *testing.T) *house {
	t.Helper()
	core, log := observer.New(zap.InfoLevel)
	h := &house{t: t, log: log, taken: make(chan struct{})}
	f := fleet.New(1, fleet.Settings{Workers: 1, Ready: fleet.ReadyNotify, StartupTimeout: time.Hour, StartupAttempts: 1, Surge: fleet.Surge{Count: 1}}, func() float64 { return 0 })
	b, all, l := books.New(time.Now()), roster.New(), limits.New()
	l.Attach(limits.Options{Log: zap.NewNop(), Fleet: f, Roster: all})
	h.Attach(Options{
		Log: logorder.New(zap.New(core), func() {}), Fleet: f, Roster: all, Books: b, Limits: &l,
		Report: &report.Report{Log: zap.NewNop(), Books: b}, Files: &ownfiles.Files{},
	})
	h.Archive.Attach(archive.Options{InForce: func() *config.Config { return &config.Config{} }})
	return h
}

func (h *house) Worker(int, process.Stream) io.Writer { return h }
func (h *house) Joined() bool                         { return true }

func (h *house) Write(b []byte) (int, error) {
	<-h.taken
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

// die has a worker write something and end.
func (h *house) die(id int, wrote string) {
	h.t.Helper()
	w := &roster.Worker{
		Identity: fleet.Identity{ID: id, Spawned: time.Now()}, Rev: &revision.Revision{Config: &config.Config{}},
		Process: roster.Process{PID: pid + id, Gone: true, Status: process.Status{Code: 3}},
	}
	h.options.Books.Started(id, time.Now())
	if err := w.Open(output.Options{To: h, ID: id, Held: true, AtMost: time.Hour}); err != nil {
		h.t.Fatal(err)
	}
	_, stderr := w.FDs()
	if _, err := unix.Write(stderr, []byte(wrote)); err != nil {
		h.t.Fatal(err)
	}
	w.CloseWriteEnds()
	h.Bury(w, fleet.Bury{Worker: fleet.Worker{Identity: w.Identity}, Verdict: fleet.Crashed, Reason: fleet.ReasonCrash})
}

// TestSlowReader: nobody waits for whoever reads the output of workers, and how they ended
// is known at once; the line in the log comes later, and all lines in their order.
func TestSlowReader(t *testing.T) {
	h := newHouse(t)
	begin := time.Now()
	for id := 1; id <= 200; id++ {
		h.die(id, "more\nall is lost\n")
		if e := h.options.Books.EndingOf(id); e.Status != "exit status 3" || !slices.Equal(e.Lines, []string{"more", "all is lost"}) {
			t.Errorf("worker %d ended with %+v", id, e)
		}
	}
	if took := time.Since(begin); took > 200*logorder.PassTime/2 {
		t.Errorf("it took %v", took)
	}
	h.options.Log.Info("reload rolled back")
	close(h.taken)
	h.options.Log.Finish()
	lines := h.log.All()
	for i, e := range lines[:200] {
		if got := e.ContextMap(); e.Message != "worker crashed" || got["worker"] != int64(i+1) || got["status"] != "exit status 3" {
			t.Errorf("line %d: %s %v", i, e.Message, got)
		}
	}
	if len(lines) != 201 || lines[200].Message != "reload rolled back" {
		t.Errorf("there are %d lines", len(lines))
	}
}

// TestBootsAlike: what one boot has said another one's line says in short, as long as
// nothing was ever ready.
func TestBootsAlike(t *testing.T) {
	h := newHouse(t)
	close(h.taken)
	h.die(1, "no port\nI am 8388609\n")
	h.die(2, "no port\nI am 8388610\n")
	h.die(3, "another port\n")
	h.AllReady()
	h.die(4, "another port\n")
	h.options.Log.Finish()
	var said []any
	for _, e := range h.log.All() {
		said = append(said, e.ContextMap()["wrote"])
	}
	if want := []any{nil, "the same 2 lines as worker 1", nil, nil, nil}; !slices.Equal(said, want) {
		t.Errorf("the lines say %v, want %v", said, want)
	}
	if got, want := h.text.String(), "no port\nI am 8388609\nanother port\nanother port\n"; got != want {
		t.Errorf("seen is %q, want %q", got, want)
	}
}

// TestStacks: what waits in the pipe of a worker that was asked for its stacks is in its
// incident.
func TestStacks(t *testing.T) {
	h := newHouse(t)
	defer close(h.taken)
	w := &roster.Worker{
		Identity: fleet.Identity{ID: 1, Spawned: time.Now()}, Rev: &revision.Revision{Config: &config.Config{}},
		Process: roster.Process{PID: pid, Gone: true},
	}
	if err := w.Open(output.Options{To: h, ID: 1}); err != nil {
		t.Fatal(err)
	}
	_, stderr := w.FDs()
	for _, text := range []string{"hangs\n", "goroutine 1\n", "main.main\n"} {
		if _, err := unix.Write(stderr, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if text == "hangs\n" {
			for w.Tails()[0].Passing() == 0 {
				runtime.Gosched() // until it is read
			}
			w.FailureLines = w.ExpectStacks()
		}
	}
	w.CloseWriteEnds()
	h.Bury(w, fleet.Bury{Worker: fleet.Worker{Identity: w.Identity}, Verdict: fleet.Crashed, Reason: fleet.ReasonTimeout})
	one := h.options.Books.Incidents(time.Now()).Incidents[0]
	if !slices.Equal(one.LastLines, []string{"hangs"}) || !slices.Equal(one.Stacks, []string{"goroutine 1", "main.main"}) {
		t.Errorf("the last lines are %q, the stacks %q", one.LastLines, one.Stacks)
	}
}
