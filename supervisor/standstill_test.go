//go:build linux

package supervisor

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/standstill"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
)

// shut is where output goes that nobody takes.
type shut struct {
	entered chan struct{}
	open    chan struct{}
}

func (s shut) Worker(int, process.Stream) io.Writer { return s }
func (s shut) Joined() bool                         { return true }

func (s shut) Write(b []byte) (int, error) {
	close(s.entered)
	<-s.open
	return len(b), nil
}

// The loop does not wait for whoever reads the output of workers too slowly: what is in
// the hands of the master then is counted as lost.
func TestStandstillWithSlowReader(t *testing.T) {
	s := serving(t, 1)
	s.options.Program = Program{"/usr/bin/gosuper", []string{"gosuper"}}
	w, reader := s.roster.Of(1), shut{make(chan struct{}), make(chan struct{})}
	defer close(reader.open)
	w.Executed = true
	if err := w.Open(output.Options{To: reader, ID: 1}); err != nil {
		t.Fatal(err)
	}
	defer w.CloseWriteEnds()
	_, stderr := w.FDs()
	if _, err := unix.Write(stderr, []byte("nobody reads this\n")); err != nil {
		t.Fatal(err)
	}
	<-reader.entered
	lost, over := 0, errors.New("not yet")
	begin := time.Now()
	s.standstill(func() error { return nil }, func(all *saved) error {
		lost = all.outputLost
		return nil
	}, func(err error) { over = err })
	if took := time.Since(begin); took > standstill.AtMost/5 {
		t.Errorf("the loop has waited for %v", took)
	}
	(<-s.loop.C)()
	if over != nil || lost != len("nobody reads this\n") {
		t.Errorf("%d bytes are counted as lost: %v", lost, over)
	}
}

// slowLog is a core of a logger whose reader is slow.
type slowLog struct {
	counter
	takes   time.Duration
	waiting atomic.Int32 // who waits for it
}

func (l *slowLog) Sync() error {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	time.Sleep(l.takes) // in the time of the bubble
	return nil
}

// While the log is written for an upgrade the loop goes on, and what happens meanwhile has
// it begin anew.
func TestUpgradeWithSlowLog(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\n", silent, func(st *stage) {
		s, log := st.master, &slowLog{counter: counter{LevelEnabler: zapcore.InfoLevel, line: func(string) {}}, takes: time.Second}
		st.say(1, notify.Message{Ready: true})
		st.in(func() {
			s.log.Logger, s.options.Program = zap.New(log), Program{"/proc/self/exe", []string{"gosuper"}}
			s.hands.become = func(int, []string, []string, int, []int, func() []syscall.Signal) error { return errors.New("no exec") }
		})
		var err error
		st.in(func() {
			s.upgrades.Start("v1")
			for s.upgrades.Pending() != upgrade.Replacing {
				s.upgrades.Next()
			}
			s.upgrades.Candidate, err = upgrade.Find(os.Args[0])
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begin := time.Now()
		if st.say(1, notify.Message{HasStatus: true, Status: "busy"}); log.waiting.Load() != 1 || time.Since(begin) > 0 || st.status().Workers[0].Status != "busy" {
			t.Errorf("the loop was deaf for %v", time.Since(begin))
		}
		st.in(func() { st.late = map[int]func(int, error){} })
		st.exit(1, 1)
		st.pass(2 * time.Second)
		if last := s.upgrades.Last(); last.Result != control.Underway || log.waiting.Load() != 0 {
			t.Errorf("while a worker is being born it goes on: %+v", last)
		}
		st.deliver(2)
		if log.waiting.Load() != 1 {
			t.Error("it does not begin anew when the worker is born")
		}
		st.pass(2 * time.Second)
		if last := s.upgrades.Last(); last.Result != control.Refused {
			t.Errorf("it ended with %+v", last)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}
