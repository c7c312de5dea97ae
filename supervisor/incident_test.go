//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
)

// TestCondition: a person hears what he would say himself.
func TestCondition(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, "workers = 2\nready = \"notify\"\n[restart]\nbackoff_min = 2\n", silent, func(st *stage) {
		is := func(want control.Condition, n int) {
			t.Helper()
			got := st.status()
			if got.Condition != want || got.ReadyWorkers != n || (got.CrashLoop != nil) != (want == control.FleetCrashLoop) {
				t.Errorf("it is %q with %d ready, %+v; want %q with %d", got.Condition, got.ReadyWorkers, got.CrashLoop, want, n)
			}
			if h, err := st.master.api().Health(st.t.Context()); err != nil || h.Condition != want || h.ReadyWorkers != n {
				t.Errorf("its health is %+v, %v", h, err)
			}
		}
		is(control.FleetStarting, 0)
		st.say(1, ready)
		is(control.FleetStarting, 1)
		st.say(2, ready)
		is(control.FleetReady, 2)
		st.pass(time.Minute)
		st.exit(1, 3)
		is(control.FleetDegraded, 1)
		st.exit(3, 4)
		is(control.FleetCrashLoop, 1)
		loop := st.status().CrashLoop
		if !slices.Equal(loop.Slots, []int{0}) || loop.Crashes != 2 || loop.Worker != 3 || loop.Status != "exit status 4" || loop.NextSeconds < 1 || loop.NextSeconds > 2 {
			t.Errorf("the crash loop is %+v", loop)
		}
		st.pass(2 * time.Second)
		st.say(4, ready)
		is(control.FleetCrashLoop, 2) // until it has lasted
		st.pass(10 * time.Second)
		is(control.FleetReady, 2)

		st.kill(syscall.SIGTTIN)
		is(control.FleetStarting, 2)
		st.say(5, ready)
		is(control.FleetReady, 3)
		st.kill(syscall.SIGHUP)
		is(control.FleetReloading, 3)
		st.exit(6, 1) // the canary
		is(control.FleetReady, 3)
		st.kill(syscall.SIGTERM)
		is(control.FleetStopping, 0)
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// TestIncidentFiles: incidents become files where the configuration in force says so.
func TestIncidentFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "incidents")
	files := func() int {
		entries, _ := os.ReadDir(dir)
		return len(entries)
	}
	play(t, "workers = 1\nready = \"notify\"\n", silent, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		st.exit(1, 3)
		if files() != 0 {
			t.Error("there are files that nobody wants")
		}
		c := load(t, fmt.Sprintf("workers = 1\nready = \"notify\"\n[incidents]\ndir = %q\nkeep = 2\n", dir))
		st.load = func() (*config.Config, []string, error) { return c, nil, nil }
		st.say(2, notify.Message{Ready: true})
		st.kill(syscall.SIGHUP)
		st.say(3, notify.Message{Ready: true})
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("the folder is not there: %v", err)
		}
		st.exit(2, 0)
		st.pass(time.Hour)
		for id := 3; id < 6; id++ {
			st.exit(id, 4)
			st.say(id+1, notify.Message{Ready: true})
			if want := min(id-2, 2); files() != want {
				t.Errorf("after %d ends there are %d files", id-2, files())
			}
			st.pass(time.Hour)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// TestIncidents: who died of what is kept, and who was replaced as a matter of
// course is not worth it.
func TestIncidents(t *testing.T) {
	b := workerEnds{}
	play(t, "workers = 1\nready = \"notify\"\ndrain_timeout = 5\nsurge = 3\n", b.launch, func(st *stage) {
		id := 1
		// next has the worker replaced, which is over when it is gone.
		next := func(goes func()) {
			t.Helper()
			goes()
			id++
			st.say(id, notify.Message{Ready: true})
		}
		st.say(id, notify.Message{Ready: true})
		next(func() {
			b[1].RequestStarted()
			st.exit(1, 3)
		})
		for _, reason := range []string{"max_requests", "cuda error", "lifetime", "memory"} {
			old := id
			next(func() { st.say(old, notify.Message{Recycle: reason}) })
			st.pass(10 * time.Millisecond) // in which it is seen that it has no streams
			st.exit(old, 0)
			st.pass(10 * time.Second) // so long the next wish would wait
		}
		old := id
		next(func() { st.say(old, notify.Message{Recycle: "recycle"}) })
		st.pass(5 * time.Second) // and is killed

		want := []string{
			"6 recycle: killed by SIGKILL, 0 lost", "5 memory: exit status 0, 0 lost", "3 cuda error: exit status 0, 0 lost", "1 crash: exit status 3, 1 lost",
		}
		check := func(s *Supervisor) {
			t.Helper()
			all, err := s.api().Incidents(st.t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range all.Incidents {
				got = append(got, fmt.Sprintf("%d %s: %s, %d lost", i.Worker, i.Reason, i.Status, *i.RequestsLost))
				if at, err := time.Parse(time.RFC3339Nano, i.At); err != nil || i.AgoSeconds != time.Since(at).Seconds() || i.PID != noPID+i.Worker || i.LastLines == nil {
					t.Errorf("%+v, %v", i, err)
				}
			}
			st.expect("incidents", got, want)
		}
		check(st.master)
		var before control.Incidents
		now := time.Now()
		st.in(func() { before = st.master.books.Incidents(now) })
		if after := st.successor().books.Incidents(now); !reflect.DeepEqual(before, after) {
			t.Errorf("incidents %+v become %+v by an upgrade", before, after)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}
