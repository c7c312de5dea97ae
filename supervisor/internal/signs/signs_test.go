//go:build linux

package signs

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// owner is a brain with its workers, whose processes are made of nothing, and what it
// hears of them.
type owner struct {
	*Signs
	loop   *loop.Loop
	fleet  *fleet.Fleet
	roster *roster.Roster
	next   []fleet.Event // for the next step
	noted  []string      // all of them
}

// newOwner starts so many workers. look is how their processes are looked at.
func newOwner(workers int, look func([]process.Asked, []int, func(map[int]process.Waiting))) *owner {
	o := &owner{
		Signs: New(), loop: loop.New(), roster: roster.New(),
		fleet: fleet.New(1, fleet.Settings{Workers: workers, ReadyAfter: time.Second, StartupTimeout: time.Hour, StartupAttempts: 1}, func() float64 { return 0 }),
	}
	loaders := preload.New()
	o.Attach(Options{
		Log: zap.NewNop(), Loop: o.loop, Fleet: o.fleet, Roster: o.roster, Loaders: &loaders, Guard: guard.New(func() int64 { return 0 }),
		Once: func(string) bool { return true }, Look: look, Note: o.note, Step: o.step,
	})
	o.step(fleet.Tick{})
	return o
}

func (o *owner) note(ev fleet.Event) {
	o.next = append(o.next, ev)
	o.noted = append(o.noted, fmt.Sprintf("%T%v", ev, ev))
}

// step has the brain take a step, and enters the workers that it wants.
func (o *owner) step(events ...fleet.Event) {
	for events = append(o.next, events...); len(events) > 0; events = o.next {
		o.next = nil
		for _, a := range o.fleet.Step(time.Now(), events...) {
			if a, ok := a.(fleet.Spawn); ok {
				w := &roster.Worker{Identity: a.Worker.Identity, Rev: &revision.Revision{Config: &config.Config{}}}
				o.roster.Enter(w)
				w.PID = 1<<23 + w.ID // above every pid
				o.roster.Born(w.ID, w.PID)
				o.note(fleet.Executed{ID: w.ID})
				o.of(w).due = time.Now()
			}
		}
	}
}

// run is the loop of the owner, until end.
func (o *owner) run(end <-chan struct{}) {
	defer o.loop.End()
	timer := time.NewTimer(0)
	for {
		select {
		case do := <-o.loop.C:
			do()
		case m := <-o.C:
			o.Listen(m)
		case <-timer.C:
			o.step(fleet.Tick{})
			o.Look(time.Now())
		case <-end:
			return
		}
		if due := o.Due(); !due.IsZero() {
			timer.Reset(max(time.Until(due), 0))
		}
	}
}

// TestHear: every word becomes an event, in an order in which what was meant comes last.
func TestHear(t *testing.T) {
	o := newOwner(1, nil)
	o.noted = nil
	for _, c := range []struct {
		name string
		said Message
		want []string
	}{
		{"nothing", Message{ID: 1}, nil},
		{"of nobody", Message{ID: 9, Message: notify.Message{Ready: true}}, nil},
		{"its program runs", Message{ID: 1, Executed: true}, []string{"fleet.Executed{1}"}},
		{"all at once", Message{ID: 1, Message: notify.Message{Ready: true, Stopping: true, Failed: true, ExtendTimeout: time.Second, Recycle: "tired", HasStatus: true, Status: "well"}}, []string{
			"fleet.Extend{1 1s}", "fleet.SaidReady{1 false}", "fleet.Wish{1 tired}", "fleet.SaidFailed{1}", "fleet.SaidStopping{1}",
		}},
	} {
		o.noted = nil
		if o.Hear(c.said); !slices.Equal(o.noted, c.want) {
			t.Errorf("%s: events %q, want %q", c.name, o.noted, c.want)
		}
	}
	if is := o.roster.Of(1).Says; is != "well" {
		t.Errorf("it says %q of itself", is)
	}
}

// All workers of whom it is time are looked at in one pass, and the longer that takes
// the less often it is done.
func TestOnePassForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 10
		var takes, passes, looks atomic.Int64
		o := newOwner(workers, func(asked []process.Asked, others []int, told func(map[int]process.Waiting)) {
			passes.Add(1)
			looks.Add(int64(len(asked)))
			if len(others) != workers {
				t.Errorf("a pass knows of %d workers", len(others))
			}
			time.Sleep(time.Duration(takes.Load())) // in the time of the bubble
			seen := map[int]process.Waiting{}
			for i := range asked {
				seen[i] = process.Waiting{On: []bool{false}}
			}
			told(seen)
		})
		end := make(chan struct{})
		go o.run(end)
		time.Sleep(10 * time.Second) // in the time of the bubble
		synctest.Wait()
		before := passes.Load()
		if n := looks.Load(); before > 60 || n < workers*before/2 {
			t.Errorf("%d looks in %d passes", n, before)
		}
		takes.Store(int64(200 * time.Millisecond))
		time.Sleep(10 * time.Second) // in the time of the bubble
		synctest.Wait()
		if n := passes.Load() - before; n < 2 || n > 13 {
			t.Errorf("%d passes of 200 ms each in 10 s", n)
		}
		close(end)
		synctest.Wait()
	})
}

// A worker that is heard of is looked at again when it is time, and by nobody while a look
// at it is under way.
func TestNobodyIsLookedAtTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var looks atomic.Int32
		o := newOwner(1, func(_ []process.Asked, _ []int, told func(map[int]process.Waiting)) {
			looks.Add(1)
			<-hang
			told(map[int]process.Waiting{0: {On: []bool{true}}})
		})
		end := make(chan struct{})
		go o.run(end)
		time.Sleep(2 * time.Second) // in the time of the bubble
		for range 5 {
			o.C <- Message{ID: 1, Executed: true}
			time.Sleep(time.Second) // in the time of the bubble
		}
		if n := looks.Load(); n != 1 {
			t.Errorf("%d looks while the first is under way", n)
		}
		close(hang)
		synctest.Wait()
		o.loop.Report(func() {
			if known, _ := o.fleet.Worker(1); known.State != fleet.Ready {
				t.Errorf("a worker that waits for connections is %v", known.State)
			}
		})
		close(end)
		synctest.Wait()
	})
}
