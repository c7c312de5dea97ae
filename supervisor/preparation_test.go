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
	"github.com/gosuper/gosuper/supervisor/internal/api"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
)

// hang makes loading the configuration wait until release is called.
func (st *stage) hang() (release func()) {
	released := make(chan struct{})
	c, _, _ := st.load()
	st.load = func() (*config.Config, []string, error) {
		<-released
		return c, nil, nil
	}
	return func() {
		close(released)
		synctest.Wait()
	}
}

// TestPreparationHangs: the files of a reload are on a server that is dead. The
// master answers, replaces and stops as if nobody had asked for a reload.
func TestPreparationHangs(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, oneWorker, silent, func(st *stage) {
		st.say(1, ready)
		release := st.hang()
		over := st.reload()
		if s := st.status(); s.State != control.Reloading || s.LastReload.Result != control.Underway {
			t.Errorf("the master says %s, %+v", s.State, s.LastReload)
		}
		started := time.Now()
		if got, err := st.master.api().Reload(st.t.Context(), false); err != nil || got.Result != control.Underway || time.Since(started) != api.PrepareTime {
			t.Errorf("who does not wait hears %+v after %v: %v", got, time.Since(started), err)
		}
		st.exit(1, 3)
		st.say(2, ready)
		if s := st.status(); len(s.Workers) != 1 || s.Workers[0].State != "ready" || s.Generation != 1 {
			t.Errorf("a worker that died: %+v", s.Workers)
		}
		st.kill(syscall.SIGTERM)
		if got := <-over; got.Result != control.RolledBack || !strings.Contains(got.Error, "told to stop") {
			t.Errorf("a reload that a stop ended: %+v", got)
		}
		st.exit(2, 0)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
		release()
	})
}

// TestPreparationSuperseded: a reload that hangs gives way to the next one, its
// result is dropped whenever it comes, and who waits for it waits for the other.
func TestPreparationSuperseded(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, oneWorker, silent, func(st *stage) {
		st.say(1, ready)
		good := st.load
		release := st.hang()
		first := st.reload()
		st.load = good
		second := st.reload()
		st.say(2, ready)
		for _, over := range []chan outcome{first, second} {
			if got := <-over; got.err != nil || got.Result != control.OK {
				t.Errorf("two reloads, of which the first hangs: %+v", got)
			}
		}
		release()
		if s := st.status(); s.State != control.Running || s.Generation != 2 || st.master.revisions.Last != 2 || st.master.reloads.Alive() != 0 {
			t.Errorf("the first was not dropped: %+v", s)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// TestPreparationsAreFew: whoever asks again and again while a server is dead does
// not fill the master with goroutines, and the last wish is not forgotten.
func TestPreparationsAreFew(t *testing.T) {
	play(t, oneWorker, silent, func(st *stage) {
		st.say(1, notify.Message{Ready: true})
		good := st.load
		release := st.hang()
		hanging, calls := st.load, 0
		st.load = func() (*config.Config, []string, error) { calls++; return hanging() }
		for range 20 {
			st.kill(syscall.SIGHUP)
		}
		if calls != reloads.Most {
			t.Errorf("%d read the files at a time, want %d", calls, reloads.Most)
		}
		st.load = good
		over := st.reload()
		release()
		st.say(2, notify.Message{Ready: true})
		if got := <-over; got.Result != control.OK {
			t.Errorf("the last reload: %+v", got)
		}
		if r := st.master.reloads; r.Alive() != 0 || r.Preparing() {
			t.Errorf("left over: %+v", r)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// TestPreparationHangsWhileItBinds: the next reload waits for it, but not for ever.
func TestPreparationHangsWhileItBinds(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, oneWorker, silent, func(st *stage) {
		s := st.master
		st.say(1, ready)
		done := s.reloads.Turn() // is what one has that never comes back
		began := time.Now()
		for i := range 2 {
			over := st.reload()
			time.Sleep(reloads.TurnTime + time.Millisecond) // in the time of the bubble
			synctest.Wait()
			st.say(2+i, ready)
			select {
			case got := <-over:
				if got.Result != control.OK || s.reloads.Alive() != 0 {
					t.Errorf("the reload: %+v", got)
				}
			case <-time.After(reloads.TurnTime):
				t.Fatalf("the reload is not over after %v", time.Since(began))
			}
		}
		done()
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// TestPreparationLosesItsSocket: what a reload was to take over is closed while
// its addresses are bound.
func TestPreparationLosesItsSocket(t *testing.T) {
	play(t, oneWorker, silent, func(st *stage) {
		s := st.master
		st.say(1, notify.Message{Ready: true})
		c := load(t, oneWorker)
		c.Bind = append(c.Bind, "127.0.0.2:0")
		st.load = func() (*config.Config, []string, error) { return c, nil, nil }
		first := st.reload() // whose canary will fail, and which has a socket that the second wants
		done := s.reloads.Turn()
		second := st.reload()
		b, err := s.plan(s.revisions.All[2])
		if err == nil {
			err = b.Try(nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		st.exit(2, 1)
		if got := <-first; got.Result != control.RolledBack {
			t.Errorf("the first reload: %+v", got)
		}
		if b.Take() {
			t.Error("a plan that is out of date was carried out")
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		done()
		synctest.Wait()
		st.say(3, notify.Message{Ready: true})
		if got := <-second; got.Result != control.OK || s.revisions.Current.Sockets.Len() != 2 {
			t.Errorf("the second reload: %+v", got)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// slowLogs is a log whose file does not open.
type slowLogs struct {
	opens   chan struct{}
	applied []string
	err     error
}

func (*slowLogs) Waiting() int { return 0 }

func (l *slowLogs) Apply(c config.Log) error {
	<-l.opens
	l.applied = append(l.applied, c.Level)
	return l.err
}

func (l *slowLogs) Reopen() error {
	<-l.opens
	l.applied = append(l.applied, "reopen")
	return l.err
}

// TestFilesHang: the log is on a server that is dead. The files wait for each
// other in their order, the reload is not done before, and all else goes on.
func TestFilesHang(t *testing.T) {
	ready := notify.Message{Ready: true}
	play(t, oneWorker, silent, func(st *stage) {
		logs := &slowLogs{opens: make(chan struct{}), err: errors.New("no space")}
		st.in(func() {
			st.master.options.Logs = logs
			st.master.attach(st.master.options, st.master.hands)
		})
		st.say(1, ready)
		st.load = func() (*config.Config, []string, error) {
			return load(t, oneWorker+"[log]\nlevel = \"debug\"\n"), nil, nil
		}
		over := st.reload()
		st.say(2, ready)
		for range 5 {
			st.kill(syscall.SIGUSR1) // once is enough
		}
		select {
		case got := <-over:
			t.Errorf("done before its log is in force: %+v", got)
		default:
		}
		if s := st.status(); s.Generation != 2 {
			t.Errorf("generation %d", s.Generation)
		}
		st.exit(2, 1)
		st.say(3, ready)
		logs.opens <- struct{}{}
		if got := <-over; got.Result != control.OK {
			t.Errorf("the reload: %+v", got)
		}
		logs.opens <- struct{}{}
		synctest.Wait()
		st.expect("the log", logs.applied, []string{"debug", "reopen"})
		if n := st.log.FilterMessage("cannot reopen the log").Len(); n != 1 || st.log.FilterMessage("cannot change the log").Len() != 1 {
			t.Errorf("the failures are not told, or %d times", n)
		}
		st.kill(syscall.SIGUSR1)
		st.kill(syscall.SIGQUIT) // does not wait for it
		st.exit(3, 0)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
		logs.opens <- struct{}{}
	})
}
