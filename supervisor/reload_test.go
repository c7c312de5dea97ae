//go:build linux

package supervisor

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
)

// outcome is what somebody who waits for a reload gets.
type outcome struct {
	control.Reload
	err error
}

// reload asks for a reload, when the drains before it are over, and waits for
// its end elsewhere.
func (st *stage) reload() chan outcome {
	st.pass(5 * time.Second)
	over := make(chan outcome, 1)
	go func() {
		result, err := st.master.api().Reload(st.t.Context(), true)
		over <- outcome{result, err}
	}()
	synctest.Wait()
	return over
}

const oneWorker = "workers = 1\nready = \"notify\"\ndrain_timeout = 1\n"

// TestReloadWaits also sees what status says meanwhile.
func TestReloadWaits(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, oneWorker, silent, func(st *stage) {
		st.say(1, ready)
		last := func(want control.Result, text string) {
			t.Helper()
			if got := st.status().LastReload; got.Result != want || !strings.Contains(got.Error, text) || text == "" && got.Error != "" {
				t.Errorf("the last reload is %+v, want %s: %s", got, want, text)
			}
		}
		last(control.None, "")

		over := st.reload()
		last(control.Underway, "")
		if st.status().State != control.Reloading {
			t.Error("the master does not say that it reloads")
		}
		st.say(2, ready)
		if got := <-over; got.err != nil || got.Result != control.OK {
			t.Errorf("a good reload: %+v", got)
		}
		last(control.OK, "")
		if got := st.status().Generation; got != 2 {
			t.Errorf("generation %d, want 2", got)
		}

		over = st.reload()
		st.exit(3, 4)
		if got := <-over; got.err != nil || got.Result != control.RolledBack || got.Error != "worker 3: exit status 4; it wrote nothing" {
			t.Errorf("a canary that dies: %+v", got)
		}
		last(control.RolledBack, "worker 3")

		good := st.load
		st.load = func() (*config.Config, []string, error) { return nil, nil, errors.New("unknown key") }
		if got := <-st.reload(); got.err != nil || got.Result != control.RolledBack || got.Error != "unknown key" {
			t.Errorf("a refused one: %+v", got)
		}
		last(control.RolledBack, "unknown key")

		// One that is refused takes nothing from the one under way, but what status
		// tells is the newest.
		st.load = good
		over = st.reload()
		st.load = func() (*config.Config, []string, error) { return nil, nil, errors.New("unknown key") }
		<-st.reload()
		st.say(4, ready)
		if got := <-over; got.Result != control.OK {
			t.Errorf("a good one beside a refused one: %+v", got)
		}
		last(control.RolledBack, "unknown key")
		st.kill(3)
		<-st.result
	})
}

// TestReadyAndGone: the reason of a reload that failed after its first worker was ready is
// how that ended, and its line says how soon that was.
func TestReadyAndGone(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, "workers = 2\nready = \"notify\"\n[restart]\nstartup_attempts = 1\n", silent, func(st *stage) {
		st.say(1, ready)
		st.say(2, ready)
		over := st.reload()
		st.say(3, ready)
		st.pass(100 * time.Millisecond)
		st.exit(3, 7)
		if got := <-over; got.Result != control.RolledBack || got.Error != "worker 3: exit status 7; it wrote nothing" {
			t.Errorf("the reload: %+v", got)
		}
		line := st.log.FilterMessage("worker crashed").All()
		if len(line) != 1 || line[0].ContextMap()["ready_for"] != 100*time.Millisecond || line[0].ContextMap()["status"] != "exit status 7" {
			t.Errorf("of the worker is said %v", line)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// TestReloadSuperseded: who waits for a reload that another one replaces gets the
// outcome of that one, and a stop ends all waiting.
func TestReloadSuperseded(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, oneWorker, silent, func(st *stage) {
		st.say(1, ready)
		first, second := st.reload(), st.reload()
		st.pass(5 * time.Second) // the canary of the first is told to go
		for id := 2; id <= 3; id++ {
			if w := st.master.roster.Of(id); w != nil {
				st.say(id, ready)
			}
		}
		for _, over := range []chan outcome{first, second} {
			if got := <-over; got.err != nil || got.Result != control.OK {
				t.Errorf("two reloads at once: %+v", got)
			}
		}
		if _, generation := st.master.fleet.Revision(); generation != 2 {
			t.Errorf("generation %d, want 2: the first was not accepted", generation)
		}
		over := st.reload()
		st.kill(15)
		if got := <-over; got.Result != control.RolledBack || !strings.Contains(got.Error, "told to stop") {
			t.Errorf("a reload that a stop ended: %+v", got)
		}
		if got := <-st.reload(); got.Result != control.RolledBack || !strings.Contains(got.Error, "stopping") {
			t.Errorf("a reload after the stop: %+v", got)
		}
		if n := st.master.reloads.Waiting(); n > 0 {
			t.Errorf("%d still wait", n)
		}
		st.kill(3)
		<-st.result
	})
}
