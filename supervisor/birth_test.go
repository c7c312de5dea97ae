//go:build linux

package supervisor

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
)

// playUnborn is play with workers that have no process before they are delivered.
func playUnborn(t *testing.T, toml string, acts func(*stage)) {
	play(t, toml, silent, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		st.pass(time.Minute)
		st.in(func() { st.late = map[int]func(int, error){} })
		st.exit(1, 1)
		if len(st.late) != 1 || st.late[2] == nil {
			t.Fatalf("%d workers are being born, want the second", len(st.late))
		}
		acts(st)
	})
}

const unborn = "workers = 1\nready = \"notify\"\nstartup_timeout = 10\ngraceful_timeout = 20\n[restart]\nbackoff_min = 5\nbackoff_max = 5\n"

func TestLateBirth(t *testing.T) {
	playUnborn(t, unborn, func(st *stage) {
		st.pass(4 * time.Second)
		if ws := st.status().Workers; len(ws) != 1 || ws[0].PID != nil || ws[0].State != "starting" {
			t.Errorf("while it is being born: %+v", ws)
		}
		st.deliver(2)
		st.say(2, notify.Message{Ready: true})
		if ws := st.status().Workers; len(ws) != 1 || *ws[0].PID != noPID+2 || ws[0].State != "ready" {
			t.Errorf("after its birth: %+v", ws)
		}
		started := st.log.FilterMessage("worker started").All()
		if last := started[len(started)-1].ContextMap(); last["pid"] != int64(noPID+2) || last["reason"] != "crash" {
			t.Errorf("the line about its start says %v", last)
		}
		st.exit(2, 3)
		if i := st.incident(2); i.Status != "exit status 3" {
			t.Errorf("it ended with %q", i.Status)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A birth that fails is a boot that failed, however late that is told.
func TestBirthFailsLate(t *testing.T) {
	playUnborn(t, unborn, func(st *stage) {
		st.pass(3 * time.Second)
		st.late[2](0, errors.New("no memory"))
		synctest.Wait()
		if i := st.incident(2); i.Status != "no memory" || i.Reason != "startup" {
			t.Errorf("the incident is %+v", i)
		}
		if st.pass(6 * time.Second); st.late[3] == nil {
			t.Error("nobody was asked for another worker after the backoff")
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A birth that nobody answers is over with the time to start, and what comes of it
// later is ended.
func TestBirthIsNotAnswered(t *testing.T) {
	playUnborn(t, unborn, func(st *stage) {
		st.pass(11 * time.Second)
		if i := st.incident(2); i.Status != "it had no process within startup_timeout" {
			t.Errorf("the incident is %+v", i)
		}
		st.pass(5 * time.Second)
		if st.late[3] == nil {
			t.Fatal("nobody was asked for another worker")
		}
		st.deliver(3)
		st.say(3, notify.Message{Ready: true})
		st.leave(process.Orphan{Pid: noPID + 2})
		st.deliver(2)
		st.expect("orders", st.orders, []string{"1m16s kill 2"})
		st.leave()
		st.deliver(2) // that pid is nobody's any more
		if ws := st.status().Workers; len(ws) != 1 || ws[0].ID != 3 || len(st.orders) != 1 {
			t.Errorf("%+v, orders %v", ws, st.orders)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// Who has no process yet has nothing to finish: a stop does not wait for it.
func TestStopBeforeBirth(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT} {
		playUnborn(t, unborn, func(st *stage) {
			st.kill(sig)
			select {
			case err := <-st.result:
				if err != nil {
					t.Error(err)
				}
			default:
				t.Errorf("%v: the master waits", sig)
			}
			if len(st.orders) > 0 {
				t.Errorf("%v: orders %v", sig, st.orders)
			}
		})
	}
}

// A process that is being made may serve before it is known, so it is asked to finish: in
// its hands may be requests.
func TestStopDuringBirth(t *testing.T) {
	playUnborn(t, unborn, func(st *stage) {
		st.in(func() { st.master.roster.Of(2).Making = true })
		st.kill(syscall.SIGTERM)
		select {
		case <-st.result:
			t.Fatal("the master does not wait for a worker that may serve")
		default:
		}
		st.expect("orders", st.orders, nil)
		st.deliver(2)
		st.expect("orders", st.orders, []string{"1m0s stop 2"})
		st.exit(2, 0)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
	})
	// One that never comes is not waited for any longer than for one that does not finish.
	playUnborn(t, unborn, func(st *stage) {
		st.in(func() { st.master.roster.Of(2).Making = true })
		st.kill(syscall.SIGTERM)
		st.pass(21 * time.Second)
		<-st.result
		st.expect("orders", st.orders, nil)
	})
}

// A worker whose end is seen before its pid is told ended as it did.
func TestEndBeforeBirthIsTold(t *testing.T) {
	playUnborn(t, unborn, func(st *stage) {
		st.leave(process.Orphan{Pid: noPID + 2, Ended: true, Status: process.Status{Code: 7}})
		st.kill(syscall.SIGCHLD)
		st.late[2](noPID+2, nil)
		synctest.Wait()
		if i := st.incident(2); i.Status != "exit status 7" {
			t.Errorf("the incident is %+v", i)
		}
		// The next one has a pid that an orphan had, which ended when nobody was being born.
		st.pass(6 * time.Second)
		st.deliver(3)
		st.leave(process.Orphan{Pid: noPID + 4, Ended: true, Status: process.Status{Code: 9}})
		st.kill(syscall.SIGCHLD)
		st.exit(3, 1)
		st.pass(6 * time.Second)
		st.deliver(4)
		st.say(4, notify.Message{Ready: true})
		if ws := st.status().Workers; len(ws) != 1 || ws[0].State != "ready" {
			t.Errorf("the orphan's end is taken for that of the worker: %+v", ws)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// While a worker is being born its process may look like what another one left.
func TestNothingIsSweptDuringBirth(t *testing.T) {
	playUnborn(t, unborn, func(st *stage) {
		st.leave(
			process.Orphan{Pid: noPID + 2, Session: 1<<22 + 1, Group: 1<<22 + 1, Env: []string{"GOSUPER_WORKER_ID=1"}},
			process.Orphan{Pid: noPID + 9, Ended: true},
		)
		named := func() (pids []string) {
			for _, e := range st.log.FilterMessageSnippet("left a process behind").All() {
				pids = append(pids, strings.TrimSpace(e.Message))
			}
			return pids
		}
		st.kill(syscall.SIGCHLD)
		if got := named(); len(got) > 0 {
			t.Errorf("swept during the birth: %v", got)
		}
		st.late[2](0, errors.New("no memory"))
		synctest.Wait()
		if got := named(); len(got) != 1 {
			t.Errorf("what was left behind is swept %d times after the birth, want once", len(got))
		}
		st.leave()
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// incident is what is told of the end of a worker; the zero value: nothing.
func (st *stage) incident(id int) control.Incident {
	all := st.master.books.Incidents(time.Now()).Incidents
	if i := slices.IndexFunc(all, func(one control.Incident) bool { return one.Worker == id }); i >= 0 {
		return all[i]
	}
	return control.Incident{}
}

// deliver has a worker that is being born be a process, and run its program.
func (st *stage) deliver(id int) {
	st.late[id](noPID+id, nil)
	st.master.signs.C <- signs.Message{ID: id, Executed: true}
	synctest.Wait()
}

// hide has nobody be able to look at orphans until the channel is closed.
func (st *stage) hide() chan struct{} {
	st.children.Lock()
	defer st.children.Unlock()
	st.deaf = make(chan struct{})
	return st.deaf
}

// leave has there be these orphans.
func (st *stage) leave(orphans ...process.Orphan) {
	st.children.Lock()
	defer st.children.Unlock()
	st.orphans = orphans
}
