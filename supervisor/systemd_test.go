//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/manager"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// listener is a service manager that writes down what it hears, and when.
type listener struct {
	mu    sync.Mutex // the test is another goroutine than the loop
	start time.Time
	heard []string
	busy  bool
}

var usec = regexp.MustCompile(`MONOTONIC_USEC=\d+`)

func (l *listener) Send(assignments ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		return manager.ErrBusy
	}
	text := usec.ReplaceAllString(strings.Join(assignments, " "), "MONOTONIC_USEC=now")
	l.heard = append(l.heard, fmt.Sprintf("%v %s", time.Since(l.start), strings.ReplaceAll(text, "\n", " ")))
	return nil
}

func (l *listener) Store(string, int) error { return nil }

func (l *listener) Remove(string) error { return nil }

// take returns what was heard since the last time.
func (l *listener) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := l.heard
	l.heard = nil
	return heard
}

// read says whether it takes what it is sent.
func (l *listener) read(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = !yes
}

// listenTo is play with a service manager that listens.
func listenTo(t *testing.T, watchdog time.Duration, toml string, acts func(*stage, *listener)) {
	l := &listener{}
	play(t, toml, func(st *stage, _ *roster.Worker) error {
		if st.master.report.Manager == nil {
			l.start, st.master.report.Manager = st.start, manager.New(l, watchdog)
		}
		return nil
	}, func(st *stage) { acts(st, l) })
}

func TestServiceManagerHears(t *testing.T) {
	listenTo(t, 0, "workers = 2\nready = \"notify\"\nstartup_timeout = 20\ngraceful_timeout = 30\ndrain_timeout = 40\n", func(st *stage, l *listener) {
		st.say(1, notify.Message{Ready: true})
		st.expect("while one is starting", l.take(), []string{
			"0s STATUS=starting: 0 of 2 workers ready, generation 1 EXTEND_TIMEOUT_USEC=32000000",
			"0s STATUS=starting: 1 of 2 workers ready, generation 1",
		})
		st.pass(5 * time.Second)
		st.say(2, notify.Message{Ready: true})
		st.say(2, notify.Message{Ready: true})
		st.pass(time.Hour)
		st.expect("ready", l.take(), []string{"5s READY=1 STATUS=2 workers ready, generation 1"})

		st.kill(syscall.SIGHUP)
		st.say(3, notify.Message{Ready: true})
		st.exit(1, 0)
		st.say(4, notify.Message{Ready: true})
		st.expect("reload", l.take(), []string{
			"1h0m5s RELOADING=1 MONOTONIC_USEC=now STATUS=reloading: 2 workers ready, generation 1",
			"1h0m5s EXTEND_TIMEOUT_USEC=11000000",                                                 // whether there is memory for the canary
			"1h0m5s EXTEND_TIMEOUT_USEC=32000000",                                                 // the canary
			"1h0m5s STATUS=reloading: 2 workers ready, generation 2 EXTEND_TIMEOUT_USEC=52000000", // the first drain
			"1h0m5s READY=1 STATUS=2 workers ready, generation 2",
		})

		st.kill(syscall.SIGTERM)
		st.exit(3, 0)
		st.exit(4, 0)
		st.exit(2, 0)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
		st.expect("stop", l.take(), []string{
			"1h0m5s STOPPING=1 STATUS=stopping: 3 workers left EXTEND_TIMEOUT_USEC=42500000",
			"1h0m5s STATUS=stopping: 2 workers left",
			"1h0m5s STATUS=stopping: 1 worker left",
			"1h0m5s STATUS=stopping: 0 workers left",
		})
	})
}

func TestServiceManagerHearsOfFailedReloads(t *testing.T) {
	listenTo(t, 0, "workers = 1\nready = \"notify\"\nstartup_timeout = 5\n", func(st *stage, l *listener) {
		st.say(1, notify.Message{Ready: true})
		l.take()
		good := st.load
		st.load = func() (*config.Config, []string, error) { return nil, nil, errors.New("line 1\nline 2") }
		st.kill(syscall.SIGHUP)
		st.expect("refused", l.take(), []string{
			"0s RELOADING=1 MONOTONIC_USEC=now STATUS=reloading: 1 worker ready, generation 1",
			"0s READY=1 STATUS=1 worker ready, generation 1; reload refused: line 1 line 2",
		})
		st.load = good
		st.kill(syscall.SIGHUP)
		st.exit(2, 1)
		heard := l.take()
		if want := "0s READY=1 STATUS=1 worker ready, generation 1; reload rolled back: worker 2: exit status 1; it wrote nothing"; heard[len(heard)-1] != want {
			t.Errorf("heard %q, want %q at the end", heard, want)
		}
		st.kill(syscall.SIGHUP) // another replaces it
		st.kill(syscall.SIGHUP)
		st.say(3, notify.Message{Ready: true})
		st.exit(3, 0)
		st.say(4, notify.Message{Ready: true})
		var phases []string
		for _, h := range l.take() {
			if word := strings.Fields(h)[1]; !strings.Contains(word, "STATUS") && !strings.Contains(word, "EXTEND") {
				phases = append(phases, word)
			}
		}
		st.expect("two reloads", phases, []string{"RELOADING=1", "RELOADING=1", "READY=1"})
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

func TestServiceManagerHearsWhyItEnds(t *testing.T) {
	listenTo(t, 0, "workers = 1\nready = \"notify\"\nstartup_timeout = 5\n[restart]\nstartup_attempts = 2\nbackoff_min = 20\nbackoff_max = 20\n", func(st *stage, l *listener) {
		st.exit(1, 1)
		st.exit(2, 7)
		if err := <-st.result; err == nil {
			t.Error("no error")
		}
		heard := l.take()
		if last := heard[len(heard)-1]; !strings.Contains(last, "STOPPING=1 STATUS=gave up: worker 2 could not boot: exit status 7") {
			t.Errorf("heard %q", heard)
		}
		if slices.ContainsFunc(heard, func(h string) bool { return strings.Contains(h, "READY=1") }) {
			t.Errorf("never ready, but heard %q", heard)
		}
	})
}

// A boot that is tried again and again moves the end of the start, and the
// service manager hears of it before it gives up waiting.
func TestServiceManagerWaits(t *testing.T) {
	listenTo(t, 0, "workers = 1\nready = \"notify\"\nstartup_timeout = 60\n[restart]\nstartup_attempts = 10\nbackoff_min = 20\nbackoff_max = 30\n", func(st *stage, l *listener) {
		var until time.Duration
		for range 400 {
			st.pass(time.Second)
			for _, h := range l.take() {
				var at string
				var wait int64
				if i := strings.Index(h, "EXTEND_TIMEOUT_USEC="); i >= 0 {
					fmt.Sscanf(h, "%s", &at)
					fmt.Sscanf(h[i:], "EXTEND_TIMEOUT_USEC=%d", &wait)
					said, err := time.ParseDuration(at)
					if err != nil {
						t.Fatal(err)
					}
					if said >= until && until > 0 {
						t.Fatalf("%s, but the service manager waited until %v", h, until)
					}
					until = said + time.Duration(wait)*time.Microsecond
				}
			}
			if passed := time.Since(st.start); passed >= until {
				t.Fatalf("after %v the service manager waited until %v", passed, until)
			}
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

func TestServiceManagerIsAskedAgain(t *testing.T) {
	listenTo(t, 0, "workers = 1\nready = \"notify\"\n", func(st *stage, l *listener) {
		l.take()
		l.read(false)
		st.say(1, notify.Message{Ready: true})
		st.kill(syscall.SIGHUP)
		st.exit(2, 1)
		st.pass(10 * time.Second)
		l.read(true)
		time.Sleep(time.Second) // and nothing else wakes the loop
		synctest.Wait()
		st.expect("what it missed", l.take(), []string{
			"10.1s READY=1 STATUS=1 worker ready, generation 1; reload rolled back: worker 2: exit status 1; it wrote nothing",
		})
		l.read(false)
		st.kill(syscall.SIGHUP)
		st.exit(3, 1)
		st.pass(50 * time.Millisecond)
		l.read(true)
		st.pass(time.Second)
		if heard := l.take(); len(heard) != 2 || !strings.Contains(heard[0], "RELOADING=1") || !strings.Contains(heard[1], "READY=1") {
			t.Errorf("a reload that was over before its begin was heard of: %q", heard)
		}
		st.pass(time.Minute) // for as long a header may still be written
		if next := st.master.deadline(); !next.IsZero() {
			t.Errorf("an idle master wakes up in %v", time.Until(next))
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

func TestServiceManagerHearsTheBeat(t *testing.T) {
	listenTo(t, 20*time.Second, "workers = 1\nready = \"notify\"\n", func(st *stage, l *listener) {
		st.say(1, notify.Message{Ready: true})
		st.pass(25 * time.Second)
		st.expect("beats", l.take(), []string{
			"0s STATUS=starting: 0 of 1 worker ready, generation 1 EXTEND_TIMEOUT_USEC=72000000 WATCHDOG=1",
			"0s READY=1 STATUS=1 worker ready, generation 1",
			"10s WATCHDOG=1",
			"20s WATCHDOG=1",
		})
		// A loop that hangs is silent.
		release := make(chan struct{})
		st.master.loop.C <- func() { <-release }
		st.pass(time.Hour)
		st.expect("while the loop hangs", l.take(), nil)
		close(release)
		st.pass(time.Second)
		if heard := l.take(); len(heard) != 1 {
			t.Errorf("heard %q", heard)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}
