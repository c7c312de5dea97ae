//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
)

// noPID is above every pid that the kernel gives (PID_MAX_LIMIT).
const noPID = 1 << 23

// stage is a master whose processes are made of nothing, in a bubble of
// synctest: time passes when everybody waits.
type stage struct {
	t                    *testing.T
	master               *Supervisor
	start                time.Time
	exits                []process.Exit
	orders               []string // what the master did to processes, and when
	log                  *observer.ObservedLogs
	load                 func() (*config.Config, []string, error)
	result               chan error
	memory               sync.Map    // of a process, by pid, in MiB
	elsewhere            sync.Map    // pids of those that do not wait for connections
	blind                atomic.Bool // nobody can see that anyway
	waits                atomic.Int32
	late                 map[int]func(pid int, err error) // how it is told of workers that are still being born, by id; nil: all are born at once
	children             sync.Mutex
	orphans              []process.Orphan // that end, or else live
	deaf                 chan struct{}    // nil, or nobody can look at orphans before it is closed
	looks, trims, sweeps atomic.Int32
	kills, counts        uint64 // for want of memory, by the kernel, and how often somebody asked for that

	// launched is called for every worker, in the goroutine of the loop.
	launched func(*roster.Worker) error
}

// play runs acts with a master of the given settings, until it ends.
func play(t *testing.T, toml string, launched func(*stage, *roster.Worker) error, acts func(*stage)) {
	synctest.Test(t, func(t *testing.T) {
		core, log := observer.New(zapcore.DebugLevel)
		st := &stage{t: t, start: time.Now(), log: log, result: make(chan error, 1)}
		c := load(t, toml)
		st.load = func() (*config.Config, []string, error) { return c, nil, nil }
		st.launched = func(w *roster.Worker) error { return launched(st, w) }
		m, err := newSupervisor(Options{
			Config: c, Log: zap.New(core), Streams: toStderr{},
			Reconfigure: func() (*config.Config, []string, error) { return st.load() },
		}, hands{
			launch: st.launch, signal: st.signal, reap: st.reap, guests: none, adopted: st.adopted, child: st.child, trees: st.trees, trim: func() { st.trims.Add(1) }, look: st.look, oom: st.oom,
		})
		if err != nil {
			t.Fatal(err)
		}
		st.master = m
		go func() { st.result <- m.Run() }()
		synctest.Wait()
		acts(st)
	})
}

// toStderr has all workers write to the stderr of the test.
type toStderr struct{}

func (toStderr) Worker(int, Stream) io.Writer { return os.Stderr }
func (toStderr) Joined() bool                 { return false }

func (toStderr) Turn(Stream) func(time.Duration) ([]byte, func(bool, bool), bool) { return nil }

func load(t testing.TB, toml string) *config.Config {
	t.Helper()
	file := t.TempDir() + "/supervisor.toml"
	text := "command = [\"/bin/true\"]\nbind = [\"127.0.0.1:0\"]\ncontrol = { socket = \"off\" }\n" + toml
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (st *stage) launch(w *roster.Worker, told func(int, error)) (pid int, err error) {
	if st.late != nil {
		st.late[w.ID] = func(pid int, err error) {
			st.master.loop.Report(func() {
				told(pid, err)
				st.master.step()
				st.master.leftovers.Sweep(nil)
			})
		}
		return 0, nil
	}
	go func() { st.master.signs.C <- signs.Message{ID: w.ID, Executed: true} }()
	if err := st.launched(w); err != nil {
		return 0, err
	}
	return noPID + w.ID, nil
}

func (st *stage) signal(_ *leftovers.Leftovers, pid int, w *roster.Worker, o order) error {
	st.orders = append(st.orders, fmt.Sprintf("%v %s %d", time.Since(st.start), o, w.ID))
	if o == orderKill && pid == w.PID {
		st.exits = append(st.exits, process.Exit{Pid: w.PID, Status: process.Status{Signal: syscall.SIGKILL}})
		go func() { st.master.signals.C <- syscall.SIGCHLD }()
	}
	return nil
}

func (st *stage) reap(known func(int) bool, _ iter.Seq[int]) ([]process.Exit, []process.Orphan, error) {
	exits, orphans := st.exits, []process.Orphan(nil)
	st.exits = nil
	for _, e := range exits {
		if !known(e.Pid) {
			st.t.Errorf("pid %d reaped twice", e.Pid)
		}
	}
	st.children.Lock()
	defer st.children.Unlock()
	st.orphans = slices.DeleteFunc(st.orphans, func(o process.Orphan) bool {
		if o.Ended {
			orphans = append(orphans, o)
		}
		return o.Ended
	})
	return exits, orphans, nil
}

// adopted are the children that nobody knows.
func (st *stage) adopted(func(int) bool) []process.Orphan {
	st.sweeps.Add(1)
	st.children.Lock()
	all, deaf := slices.Clone(st.orphans), st.deaf
	st.children.Unlock()
	if deaf != nil {
		<-deaf
	}
	return all
}

// child says whether one of them has that pid.
func (st *stage) child(pid int) bool {
	st.children.Lock()
	defer st.children.Unlock()
	return slices.ContainsFunc(st.orphans, func(o process.Orphan) bool { return o.Pid == pid })
}

// exit ends a process.
func (st *stage) exit(id, code int) {
	st.exits = append(st.exits, process.Exit{Pid: noPID + id, Status: process.Status{Code: code}})
	st.kill(syscall.SIGCHLD)
}

// kill sends the master a signal and waits until it has dealt with it.
func (st *stage) kill(sig syscall.Signal) {
	st.master.signals.C <- sig
	synctest.Wait()
}

// pass lets time pass. The loop may change what the test has read of it until now,
// and has to know that it was read: that time passes tells nobody what came before.
func (st *stage) pass(d time.Duration) {
	select {
	case st.master.loop.C <- func() {}:
	default: // it hangs, or has ended
	}
	time.Sleep(d) // in the time of the bubble
	synctest.Wait()
}

// in has the loop call do, which may read and change all that it owns.
func (st *stage) in(do func()) {
	st.t.Helper()
	if err := st.master.loop.Do(st.t.Context(), do); err != nil {
		st.t.Fatal(err)
	}
}

func (st *stage) say(id int, m notify.Message) {
	st.master.signs.C <- signs.Message{ID: id, Message: m}
	synctest.Wait()
}

func (st *stage) expect(what string, got, want []string) {
	st.t.Helper()
	if !slices.Equal(got, want) {
		st.t.Errorf("%s\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// silent launches workers that never say anything.
func silent(*stage, *roster.Worker) error { return nil }

func TestStartupTimeoutAbortsThenKills(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\nstartup_timeout = 10\n[restart]\nstartup_attempts = 1\n", silent, func(st *stage) {
		err := <-st.result
		var boot *BootError
		if !errors.As(err, &boot) || boot.Worker != 1 || boot.Status != "no READY=1 within startup_timeout (killed by SIGKILL)" {
			t.Errorf("master ended with %v, want the boot error of worker 1", err)
		}
		st.expect("orders", st.orders, []string{"10s abort 1", "12s kill 1"})
	})
}

func TestTermThenIntEndsWithinASecond(t *testing.T) {
	play(t, "workers = 2\nready = \"1s\"\n", silent, func(st *stage) {
		st.pass(5 * time.Second)
		st.kill(syscall.SIGTERM)
		st.kill(syscall.SIGTERM)
		st.pass(3 * time.Second)
		st.kill(syscall.SIGINT)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
		st.expect("orders", st.orders, []string{"5s stop 1", "5s stop 2", "9s kill 1", "9s kill 2"})
	})
}

func TestRefusedReloadChangesNothing(t *testing.T) {
	play(t, "workers = 1\nready = \"1s\"\n", silent, func(st *stage) {
		st.pass(2 * time.Second)
		st.load = func() (*config.Config, []string, error) { return nil, nil, errors.New("unknown key") }
		st.kill(syscall.SIGHUP)
		if st.log.FilterMessageSnippet("reload refused").Len() != 1 {
			t.Error("the refused reload is not in the log")
		}
		st.load = func() (*config.Config, []string, error) { return load(t, "user = \"nobody-of-this-name\"\n"), nil, nil }
		st.kill(syscall.SIGHUP)
		if st.log.FilterMessageSnippet("reload refused").Len() != 2 {
			t.Error("the unknown user is not in the log")
		}
		if n := st.master.roster.Len(); n != 1 || len(st.orders) > 0 {
			t.Errorf("%d workers, orders %q, want the one worker left alone", n, st.orders)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

func TestFailedLaunchBacksOff(t *testing.T) {
	var launches atomic.Int32
	play(t, "workers = 1\nready = \"1s\"\n[restart]\nbackoff_min = 2\n", func(_ *stage, w *roster.Worker) error {
		if launches.Add(1); w.ID > 1 {
			return errors.New("cannot fork")
		}
		return nil
	}, func(st *stage) {
		st.pass(20 * time.Second) // it has really started
		st.exit(1, 1)
		if n := launches.Load(); n != 2 {
			t.Errorf("%d launches after the first crash, want 2: one at once and then a backoff", n)
		}
		st.pass(time.Hour)
		if n := launches.Load(); n > 300 {
			t.Errorf("%d launches in an hour of failing forks", n)
		}
		st.kill(syscall.SIGTERM)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
	})
}

func TestScalingStaysWithinTheConfigurable(t *testing.T) {
	play(t, "workers = 10000\nready = \"notify\"\nstart_parallel = 1\n", silent, func(st *stage) {
		for _, scaling := range []struct {
			signal  syscall.Signal
			workers int
			refused int // so far
		}{
			{syscall.SIGTTIN, config.MaxWorkers, 1},
			{syscall.SIGTTOU, config.MaxWorkers - 1, 1},
			{syscall.SIGTTIN, config.MaxWorkers, 1},
			{syscall.SIGTTIN, config.MaxWorkers, 2},
		} {
			st.kill(scaling.signal)
			if got, lines := st.status().WorkersTarget, st.log.FilterMessageSnippet("not scaled").Len(); got != scaling.workers || lines != scaling.refused {
				t.Errorf("after %v: %d workers, refused %d times; want %d and %d", scaling.signal, got, lines, scaling.workers, scaling.refused)
			}
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

func TestIdleMasterSleeps(t *testing.T) {
	play(t, "workers = 4\nready = \"notify\"\n", silent, func(st *stage) {
		for id := 1; id <= 4; id++ {
			st.say(id, notify.Message{Ready: true})
		}
		st.pass(time.Minute) // for as long a header may still be written
		if next := st.master.deadline(); !next.IsZero() {
			t.Errorf("an idle master wakes up at %v", next.Sub(st.start))
		}
		st.kill(syscall.SIGTERM)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
		st.expect("orders", st.orders, []string{"1m0s stop 1", "1m0s stop 2", "1m0s stop 3", "1m0s stop 4", "1m30s kill 1", "1m30s kill 2", "1m30s kill 3", "1m30s kill 4"})
	})
}
