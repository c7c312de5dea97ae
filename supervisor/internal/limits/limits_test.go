//go:build linux

package limits

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// house is a master with one worker that is ready and has limits.
type house struct {
	Limits
	loop    *loop.Loop
	worker  *roster.Worker
	loaders preload.Loaders
	log     *observer.ObservedLogs
	noted   []fleet.Event
	lost    int
	looks   int // at the memory of the worker
}

func newHouse(t *testing.T) *house {
	t.Helper()
	core, log := observer.New(zapcore.DebugLevel)
	r := &revision.Revision{Config: &config.Config{MaxWorkerMemory: 100 * config.MiB}}
	r.Memory.Hard, r.Config.Workers.N = 200*config.MiB, 1
	h := &house{Limits: New(), loop: loop.New(), loaders: preload.New(), log: log, worker: &roster.Worker{Rev: r, Process: roster.Process{PID: 1 << 23}}}
	f, all := fleet.New(1, fleet.Settings{Workers: 1, Ready: fleet.ReadyNotify, StartupTimeout: time.Hour, StartupAttempts: 1, Surge: fleet.Surge{Count: 1}}, func() float64 { return 0 }), roster.New()
	h.worker.ID = 1
	all.Enter(h.worker)
	f.Step(time.Now(), fleet.Tick{})
	f.Step(time.Now(), fleet.Executed{ID: 1}, fleet.SaidReady{ID: 1})
	h.Attach(Options{
		Log: zap.New(core), Loop: h.loop, Fleet: f, Roster: all, Revisions: &revision.Known{All: map[int]*revision.Revision{1: r}, Current: r}, Loaders: &h.loaders, ReadBoards: func(time.Time) {}, LoseInnocents: func(n int) { h.lost += n },
		Note: func(ev fleet.Event) { h.noted = append(h.noted, ev) }, Step: func(...fleet.Event) {},
	})
	h.Scales.Attach(func([]int) ([]scales.Tree, error) {
		h.looks++
		return nil, errors.New("nobody is there")
	}, nil)
	return h
}

// After the end of one of them the memory of forked workers is not judged for a while,
// and they are watched all the same.
func TestForkedAreNotWeighedAfterAnExit(t *testing.T) {
	h := newHouse(t)
	expect := func(when string, soft, hard uint64) {
		t.Helper()
		if all, living := h.loads(); len(all) != 1 || all[0].Soft != soft || all[0].Hard != hard || !living[1] {
			t.Errorf("%s: limits %+v", when, all)
		}
	}
	expect("before", 100<<20, 200<<20)
	h.worker.Rev.Config.Preload = true
	expect("forked", 100<<20, 200<<20)
	h.loaders.WorkerDied(time.Now())
	expect("just after an exit", 0, 0)
	h.loaders.WorkerDied(time.Now().Add(-time.Minute))
	expect("long after an exit", 100<<20, 200<<20)
}

// A worker that takes too much is replaced, or killed; one that is gone is left alone.
func TestExceed(t *testing.T) {
	h := newHouse(t)
	heavy := func(bytes, soft, hard uint64) scales.Excess {
		return scales.Excess{Load: scales.Load{Worker: scales.Worker{ID: 1}, Soft: soft, Hard: hard}, Bytes: bytes, Kind: process.PSS}
	}
	h.exceed([]scales.Excess{heavy(150<<20, 100<<20, 0)})
	if len(h.noted) != 1 || h.noted[0] != (fleet.Recycle{ID: 1, Reason: fleet.ReasonMemory}) {
		t.Errorf("above the soft limit: %v", h.noted)
	}
	h.noted = nil
	h.exceed([]scales.Excess{heavy(201<<20, 0, 200<<20)})
	if len(h.noted) != 1 || h.noted[0] != (fleet.Oversized{ID: 1}) || h.worker.Failure != "took 201MiB, more than max_worker_memory_hard" {
		t.Errorf("above the hard limit: %v, %q", h.noted, h.worker.Failure)
	}
	h.noted, h.worker.Gone = nil, true
	if h.exceed([]scales.Excess{heavy(201<<20, 0, 200<<20)}); h.noted != nil {
		t.Errorf("of one that is gone: %v", h.noted)
	}
}

// The innocent requests of a worker that is stuck are lost with it, and those of another
// are not.
func TestLost(t *testing.T) {
	h := newHouse(t)
	if h.Lost(h.worker, fleet.Worker{Innocents: 3}); h.lost != 0 || h.log.Len() != 0 {
		t.Errorf("%d innocents of a worker that is well are lost", h.lost)
	}
	if h.Lost(h.worker, fleet.Worker{Stuck: true, Innocents: 3}); h.lost != 3 || h.log.FilterMessage("ending stuck worker").Len() != 1 {
		t.Errorf("%d innocents of a worker that is stuck are lost, want 3: %v", h.lost, h.log.All())
	}
}

// Who waits for drains is named, and for what it is to be replaced.
func TestCrowded(t *testing.T) {
	h := newHouse(t)
	h.options.Fleet.Step(time.Now(), fleet.Recycle{ID: 1, Reason: "stale_model"})
	h.Crowded(h.worker, 2)
	if all := h.log.All(); len(all) != 1 || all[0].ContextMap()["reason"] != "stale_model" || all[0].ContextMap()["draining"] != int64(2) {
		t.Errorf("it says %+v", all)
	}
}

// Who is ready is looked at as soon as it has given a sign of life, and not before.
func TestKeep(t *testing.T) {
	h := newHouse(t)
	h.worker.Rev.Config.Watchdog = 4 * time.Second
	now := time.Now()
	if h.Keep(now); !h.Due().IsZero() {
		t.Errorf("one that never beats is looked at after %v", h.Due().Sub(now))
	}
	h.Guard.Beat(1, now)
	if due := h.Due().Sub(now); due <= 0 || due > 4*time.Second {
		t.Errorf("one that beats is looked at after %v", due)
	}
	h.worker.Gone = true
	if h.Keep(now); !h.Due().IsZero() {
		t.Error("one that is gone is looked at")
	}
}
