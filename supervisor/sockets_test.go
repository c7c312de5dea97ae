//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signals"
)

// listening complains of sockets that do not listen of those that a worker is given.
func listening(st *stage, w *roster.Worker) {
	for _, fd := range w.Rev.Sockets.Fds(w.Slot) {
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
			st.t.Errorf("socket %d of worker %d: %d, %v", fd, w.ID, on, err)
		}
	}
}

// A program that accepts with its first instruction finds sockets that listen: those of
// a start and of a reload, those of a slot alone, those of a worker after one whose fork
// has failed, and after one that has shut them down.
func TestSocketsListenBeforeTheFork(t *testing.T) {
	toml := fmt.Sprintf("workers = 2\nready = \"notify\"\nbind_slot = [\"unix:%s/{slot}\"]\n", t.TempDir())
	var launched []int
	play(t, toml, func(st *stage, w *roster.Worker) error {
		launched = append(launched, w.ID)
		if listening(st, w); w.ID == 1 {
			return errors.New("cannot fork")
		}
		return nil
	}, func(st *stage) {
		st.pass(10 * time.Second)
		st.say(2, notify.Message{Ready: true})
		st.say(3, notify.Message{Ready: true})
		st.pass(time.Minute)
		st.in(func() {
			if err := unix.Shutdown(st.master.revisions.Current.Sockets.Fds(0)[0], unix.SHUT_RDWR); err != nil {
				t.Error(err)
			}
		})
		st.exit(2, 1)
		st.say(4, notify.Message{Ready: true})
		c := load(t, toml)
		c.Bind = append(c.Bind, "127.0.0.2:0")
		st.load = func() (*config.Config, []string, error) { return c, nil, nil }
		st.kill(syscall.SIGHUP)
		if !slices.Equal(launched, []int{1, 2, 3, 4, 5}) {
			t.Errorf("launched are %v", launched)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A worker whose socket cannot listen is not made.
func TestSocketThatCannotListen(t *testing.T) {
	toml := fmt.Sprintf("workers = 2\nready = \"notify\"\nbind_slot = [\"unix:%s/{slot}\"]\n[restart]\nstartup_attempts = 1\n", t.TempDir())
	play(t, toml, func(st *stage, w *roster.Worker) error {
		if w.Slot != 0 {
			t.Errorf("worker %d of slot %d is made", w.ID, w.Slot)
			return nil
		}
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer null.Close()
		fds := w.Rev.Sockets.Fds(1)
		return unix.Dup3(int(null.Fd()), fds[len(fds)-1], unix.O_CLOEXEC)
	}, func(st *stage) {
		st.pass(time.Minute)
		var boot *BootError
		if err := <-st.result; !errors.As(err, &boot) || boot.Worker != 2 || !strings.Contains(boot.Status, "cannot listen on unix:") {
			t.Errorf("the master ended with %v", err)
		}
	})
}

// hangPaths has the file system of unix sockets not answer until the channel is closed.
func (st *stage) hangPaths() (answer chan struct{}) {
	answer = make(chan struct{})
	st.in(func() { st.master.sockets.Do(func() { <-answer }, func() {}) })
	return answer
}

// The control socket is given up although the file system of its path does not answer.
func TestControlMovesWithoutFileSystem(t *testing.T) {
	c := load(t, "")
	c.Control.Socket = t.TempDir() + "/control"
	s, err := newSupervisor(Options{Config: c, Log: zap.NewNop(), Streams: toStderr{}}, hands{
		signals: signals.System(), guests: none, adopted: nobody, oom: func() (uint64, bool) { return 0, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.revisions.Current.Sockets.Close()
	defer s.signals.Stop()
	defer s.endpoints.Finish()
	answer := make(chan struct{})
	s.sockets.Do(func() { <-answer }, func() {})
	s.endpoints.MoveControl(load(t, ""))
	(<-s.loop.C)()
	if _, err := os.Lstat(c.Control.Socket); err != nil {
		t.Errorf("the path is gone before its file system answered: %v", err)
	}
	close(answer)
	for s.sockets.Busy() {
		(<-s.loop.C)()
	}
	if _, err := os.Lstat(c.Control.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path is left: %v", err)
	}
}

// The loop goes on while the file system of its unix sockets does not answer: workers
// end and are replaced, reloads come and go, and the master stops.
func TestLoopGoesOnWithoutFileSystem(t *testing.T) {
	path, other := t.TempDir()+"/socket", t.TempDir()+"/other"
	play(t, oneWorker, silent, func(st *stage) {
		there := func(path string) bool {
			_, err := os.Lstat(path)
			return !errors.Is(err, os.ErrNotExist)
		}
		to := func(path string) {
			c := load(t, oneWorker)
			c.Bind = []string{"unix:" + path}
			st.load = func() (*config.Config, []string, error) { return c, nil, nil }
			st.kill(syscall.SIGHUP)
			st.pass(2 * revision.FreeTime)
		}
		st.say(1, notify.Message{Ready: true})
		to(path)
		st.say(2, notify.Message{Ready: true})
		st.exit(1, 0)
		answer := st.hangPaths()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		st.exit(2, 1) // which is why the path is looked after
		st.say(3, notify.Message{Ready: true})
		if ws := st.status().Workers; len(ws) != 1 || ws[0].ID != 3 || ws[0].State != "ready" {
			t.Errorf("while nothing answers: %+v", ws)
		}
		if there(path) {
			t.Error("the path is back before its file system answered")
		}
		close(answer)
		synctest.Wait()
		st.pass(time.Second)
		if !there(path) || st.log.FilterMessageSnippet("took no more connections").Len() != 1 {
			t.Error("the path is not back")
		}
		st.say(4, notify.Message{Ready: true}) // in the place of the one with the old socket
		if ws := st.status().Workers; len(ws) == 0 || ws[len(ws)-1].ID != 4 {
			t.Errorf("nobody takes the place of who has the old socket: %+v", ws)
		}
		st.exit(3, 0)

		answer = st.hangPaths()
		to(other) // which may be on another file system
		st.say(5, notify.Message{Ready: true})
		if st.status().LastReload.Result != control.OK || !there(path) || !there(other) {
			t.Errorf("the reload: %+v", st.status().LastReload)
		}
		st.exit(4, 0)
		st.pass(10 * time.Second)
		close(answer)
		synctest.Wait()
		st.pass(time.Second)
		if there(path) {
			t.Error("the path that left is still there")
		}

		answer = st.hangPaths()
		st.kill(syscall.SIGTERM)
		st.exit(5, 0)
		st.pass(endpoints.AnswerTime)
		select {
		case err := <-st.result:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("the master waits for a file system that does not answer")
		}
		close(answer)
	})
}
