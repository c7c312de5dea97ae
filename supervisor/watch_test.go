//go:build linux

package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
)

// beat has a worker say WATCHDOG=1 twice a second from now on, while the result
// is true and the master lives.
func (st *stage) beat(id int) *atomic.Bool {
	alive := new(atomic.Bool)
	alive.Store(true)
	st.say(id, notify.Message{Watchdog: true})
	go func() {
		for {
			select {
			case <-time.After(500 * time.Millisecond):
			case <-st.master.loop.Ended():
				return
			}
			if !alive.Load() {
				continue
			}
			select {
			case st.master.signs.C <- signs.Message{ID: id, Message: notify.Message{Watchdog: true}}:
			case <-st.master.loop.Ended():
				return
			}
		}
	}()
	return alive
}

// busy keeps the loop from its work.
func (st *stage) busy(d time.Duration) {
	hold := func() { time.Sleep(d) } // in the time of the bubble
	if err := st.master.loop.Do(st.t.Context(), hold); err != nil {
		st.t.Error(err)
	}
	synctest.Wait()
}

// until lets time pass until so long after the start.
func (st *stage) until(d time.Duration) { st.pass(d - time.Since(st.start)) }

// successors launches workers of which the third and later ones say at once that
// they are ready.
func successors(st *stage, w *roster.Worker) error {
	if w.ID > 2 {
		go func() {
			select {
			case st.master.signs.C <- signs.Message{ID: w.ID, Message: notify.Message{Ready: true}}:
			case <-st.master.loop.Ended():
			}
		}()
	}
	return nil
}

// done says when something was done to a worker; 0: it was not.
func (st *stage) done(what string, id int) time.Duration {
	for _, order := range st.orders {
		if at, ok := strings.CutSuffix(order, fmt.Sprintf(" %s %d", what, id)); ok {
			d, err := time.ParseDuration(at)
			if err != nil {
				st.t.Fatal(err)
			}
			return d
		}
	}
	return 0
}

const watched = "workers = 2\nready = \"notify\"\nwatchdog = 2\ndrain_timeout = 10\n"

// A worker that hangs is dealt with, whatever keeps the loop from its work at the
// moment when that is seen, and whatever else is due then.
func TestSilentWorkerIsNotForgotten(t *testing.T) {
	for name, hinder := range map[string]func(*stage){
		"a loop in time": func(*stage) {},
		"a loop that is late for a drain": func(st *stage) {
			st.until(10900 * time.Millisecond)
			st.busy(1250 * time.Millisecond) // the drain is over after 11 s, and the next look is at 11.5 s
		},
		"a loop that is late for the look": func(st *stage) {
			st.until(10900 * time.Millisecond)
			st.busy(3 * time.Second)
		},
		"a loop that is late all the time": func(st *stage) {
			for time.Since(st.start) < 30*time.Second {
				st.busy(1300 * time.Millisecond)
				st.pass(100 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, watched, successors, func(st *stage) {
				st.until(500 * time.Millisecond)
				var hangs *atomic.Bool
				for id := 1; id <= 2; id++ {
					st.say(id, notify.Message{Ready: true})
					alive := st.beat(id)
					if id == 1 {
						hangs = alive
					}
				}
				st.until(time.Second)
				st.say(2, notify.Message{Stopping: true})
				st.beat(3)
				st.until(9100 * time.Millisecond)
				hangs.Store(false)
				hinder(st)
				st.until(60 * time.Second)
				if at := st.done("kill", 1); at == 0 || at > 25*time.Second {
					t.Errorf("the worker that hangs since 9s was killed at %v, want soon; all: %q", at, st.orders)
				}
				if st.done("abort", 1) == 0 {
					t.Error("it was not asked for its stacks")
				}
				if slices.ContainsFunc(st.orders, func(order string) bool { return strings.HasSuffix(order, " 3") }) {
					t.Errorf("a worker that is well was not left alone: %q", st.orders)
				}
				st.kill(syscall.SIGQUIT)
				<-st.result
			})
		})
	}
}

// Nobody is blamed for what he could not say while the loop did not listen.
func TestPausedMasterBlamesNobody(t *testing.T) {
	play(t, watched, successors, func(st *stage) {
		for id := 1; id <= 2; id++ {
			st.say(id, notify.Message{Ready: true})
			st.beat(id)
		}
		for range 5 {
			st.pass(10 * time.Second)
			st.busy(10 * time.Second)
		}
		st.expect("orders", st.orders, nil)
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A worker that is found stuck and then goes on is replaced, with the time that
// others get.
func TestWorkerThatGoesOn(t *testing.T) {
	play(t, watched, silent, func(st *stage) {
		var first *atomic.Bool
		for id := 1; id <= 2; id++ {
			st.say(id, notify.Message{Ready: true})
			if alive := st.beat(id); id == 1 {
				first = alive
			}
		}
		first.Store(false)
		st.until(4 * time.Second)
		first.Store(true)
		st.until(6 * time.Second)
		st.say(3, notify.Message{Ready: true})
		st.until(time.Minute)
		st.expect("orders", st.orders, []string{"6s stop 1", "16s kill 1"})
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A worker that drains knows whether it will be asked for its stacks, also when that
// changes meanwhile.
func TestAbortIsForetold(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(st *stage, alive *atomic.Bool)
		follows bool
	}{
		"stuck":              {func(*stage, *atomic.Bool) {}, true},
		"no longer stuck":    {func(_ *stage, alive *atomic.Bool) { alive.Store(true) }, false},
		"all end in no time": {func(st *stage, _ *atomic.Bool) { st.kill(syscall.SIGINT) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := workerEnds{}
			play(t, "workers = 1\nready = \"notify\"\nwatchdog = 2\n", b.launch, func(st *stage) {
				st.say(1, notify.Message{Ready: true})
				alive := st.beat(1)
				alive.Store(false)
				st.pass(4 * time.Second)
				if b[1].AbortFollows() {
					t.Error("an abort follows before a drain")
				}
				st.say(2, notify.Message{Ready: true})
				if b[1].DrainUntil() == 0 || !b[1].AbortFollows() {
					t.Errorf("a worker that is stuck drains until %d, abort follows: %v", b[1].DrainUntil(), b[1].AbortFollows())
				}
				tt.change(st, alive)
				st.pass(700 * time.Millisecond)
				if got := b[1].AbortFollows(); got != tt.follows {
					t.Errorf("abort follows: %v, want %v", got, tt.follows)
				}
				st.pass(time.Second)
				if aborted := st.done("abort", 1) != 0; aborted != tt.follows {
					t.Errorf("aborted: %v, want %v; all: %q", aborted, tt.follows, st.orders)
				}
				st.kill(syscall.SIGQUIT)
				<-st.result
			})
		})
	}
}
