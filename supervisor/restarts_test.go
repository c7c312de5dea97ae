//go:build linux

package supervisor

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
)

func TestRestartsByReason(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, "workers = 1\nready = \"notify\"\ndrain_timeout = 1\n", silent, func(st *stage) {
		st.say(1, ready)
		want := map[control.Reason]uint64{}
		id := 1
		// next lets one worker take the place of the one before it.
		next := func(reason control.Reason) {
			t.Helper()
			want[reason]++
			if id++; st.master.roster.Of(id) == nil {
				t.Fatalf("no worker was started for %s", reason)
			}
			st.say(id, ready)
			st.pass(10 * time.Second) // so long the next wish would wait
			got := st.status().Counters.Restarts
			for _, r := range control.Reasons() {
				if n, ok := got[r]; !ok || n != want[r] {
					t.Errorf("after %s: %d restarts because of %s, want %d", reason, n, r, want[r])
				}
			}
			if len(got) != len(control.Reasons()) {
				t.Errorf("there are reasons nobody knows: %v", got)
			}
		}
		for _, reason := range []control.Reason{control.MaxRequests, control.Memory, control.Lifetime} {
			st.say(id, notify.Message{Recycle: string(reason)})
			next(reason)
		}
		for _, own := range []string{"tired", "crash", "stop", "reload"} {
			st.say(id, notify.Message{Recycle: own})
			next(control.Recycle)
		}
		st.exit(id, 1)
		next(control.Crash)
		st.kill(1)
		next(control.ByReload)
		if _, err := st.master.api().Recycle(st.t.Context(), control.Recycling{All: true}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		next(control.Recycle)
		if got, err := st.master.api().Scale(st.t.Context(), control.Scaling{Workers: new(2)}); err != nil || got != (control.Scaled{From: 1, To: 2}) {
			t.Errorf("scaled %+v, %v", got, err)
		}
		synctest.Wait()
		next(control.Scale)
		st.kill(3)
		<-st.result
	})
}

// Of the workers of a slot one is granted its wish to be replaced within reset_after.
// That it has served as many requests as it may is no wish if the board shows so many.
func TestWishes(t *testing.T) {
	b := workerEnds{}
	play(t, "workers = 1\nready = \"notify\"\nmax_requests = 2\ndrain_timeout = 1\n[restart]\nreset_after = 60\n", b.launch, func(st *stage) {
		id := 1
		st.say(id, notify.Message{Ready: true})
		wish := func(reason string, granted bool) {
			t.Helper()
			st.say(id, notify.Message{Recycle: reason})
			if got := st.status().Workers; len(got) > 1 != granted {
				t.Fatalf("worker %d says %q: workers %+v", id, reason, got)
			}
			if granted {
				id++
				st.say(id, notify.Message{Ready: true})
				st.pass(5 * time.Second)
			}
		}
		wish("tired", true)
		wish("tired", false)
		b[id].RequestStarted()
		st.exit(id, 1)
		id++
		st.say(id, notify.Message{Ready: true})
		wish("max_requests", false) // after none
		st.pass(time.Minute)
		id++ // now it was granted
		st.say(id, notify.Message{Ready: true})
		st.pass(5 * time.Second)
		for range 3 {
			b[id].RequestStarted()
			b[id].RequestStarted()
			wish("max_requests", true)
		}
		wish("max_requests", false)
		if n := st.log.FilterMessageSnippet("has to wait: see restart.reset_after").Len(); n != 3 {
			t.Errorf("it was said %d times that a worker has to wait, want once of each of 3", n)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A canary that fails has replaced nobody; one that is accepted has.
func TestRestartsOfReloads(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, "workers = 2\nready = \"notify\"\n", silent, func(st *stage) {
		st.say(1, ready)
		st.say(2, ready)
		expect := func(what string, slots ...uint64) {
			t.Helper()
			got := st.status()
			if n := got.Counters.Restarts[control.ByReload]; n != slots[0]+slots[1] {
				t.Errorf("%d restarts after %s, want %d", n, what, slots[0]+slots[1])
			}
			for _, w := range got.Workers {
				if w.Restarts != slots[w.Slot] {
					t.Errorf("slot %d restarted %d times after %s, want %d", w.Slot, w.Restarts, what, slots[w.Slot])
				}
			}
		}
		over := st.reload()
		expect("the spawn of a canary", 0, 0)
		st.exit(3, 1)
		if got := <-over; got.Result != control.RolledBack {
			t.Fatalf("a reload whose canary fails: %+v", got)
		}
		expect("a reload that was rolled back", 0, 0)
		over = st.reload()
		st.say(4, ready)
		expect("the first replacement", 1, 0)
		st.exit(1, 0)
		st.say(5, ready)
		if got := <-over; got.Result != control.OK {
			t.Fatalf("a good reload: %+v", got)
		}
		expect("a reload", 1, 1)
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}
