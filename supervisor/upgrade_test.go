//go:build linux

package supervisor

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// successor makes a master of what the one on the stage would leave to it now. Its loop
// does not run: it is the test's own.
func (st *stage) successor() *Supervisor {
	t, s := st.t, st.master
	t.Helper()
	var fd int
	var err error
	st.in(func() { fd, err = leave(s) })
	if err != nil {
		t.Fatal(err)
	}
	i, err := readInheritance(fd, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	successor, err := newSupervisor(Options{
		Config: i.Config(), Log: zap.NewNop(), Streams: toStderr{}, Inheritance: i,
		Program: i.Program(), Version: s.options.Version,
	}, s.hands)
	if err != nil {
		t.Fatal(err)
	}
	return successor
}

// leave writes what a master would leave, which will go on all the same.
func leave(s *Supervisor) (fd int, err error) {
	all := s.save()
	all.messages = []signs.Message{{ID: 2, Message: notify.Message{Stopping: true}}}
	var shared []*int // both will close them
	if s.births.Boards.Page >= 0 {
		shared = append(shared, &s.births.Boards.Page)
	}
	for w := range s.roster.All() {
		if w.Board >= 0 {
			shared = append(shared, &w.Board)
		}
	}
	for _, fd := range shared {
		if *fd, err = unix.FcntlInt(uintptr(*fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return -1, err
		}
	}
	fd, _, err = all.write()
	return fd, err
}

// text is what a master would leave, but for what only the moment decides.
func text(s *Supervisor) string {
	all := s.save()
	s.births.Boards.Page = 0
	for w := range s.roster.All() {
		w.Board = min(w.Board, 0)
	}
	b, _, err := state.Write(all, scoreboard.Epoch())
	if err != nil {
		return err.Error()
	}
	var text bytes.Buffer
	if err := json.Indent(&text, b, "", " "); err != nil {
		return err.Error()
	}
	return text.String()
}

func TestSuccessorKnowsAll(t *testing.T) {
	play(t, "workers = 2\nready = \"notify\"\n[env]\nKEY = \"value\"\n", silent, func(st *stage) {
		s := st.master
		s.options.Program = Program{"/usr/bin/gosuper", []string{"gosuper", "-w", "2"}}
		s.options.Version = "v1"
		for id := 1; id <= 2; id++ {
			st.say(id, notify.Message{Ready: true, HasStatus: true, Status: "ready ü"})
		}
		st.exit(1, 3)
		st.say(3, notify.Message{Ready: true})
		st.load = func() (*config.Config, []string, error) {
			return load(t, "workers = 2\nready = \"notify\"\n"), nil, nil
		}
		st.kill(syscall.SIGHUP)
		st.say(4, notify.Message{Ready: true})
		st.pass(time.Second)
		var before string
		st.in(func() {
			for range 2 {
				s.sockets.Join(&socket.Leaving{Sockets: s.revisions.Current.Sockets, Since: time.Now(), Look: time.Now().Add(time.Second)})
			}
			s.books.LoseInnocents(7)
			s.revisions.Current.Memory.Hard = 5 * config.GiB // which was chosen then, whatever the machine says by now
			before = text(s)
		})
		if after := text(st.successor()); before != after {
			t.Errorf("the master left\n%s\nand its successor would leave\n%s", before, after)
		}
		st.in(func() { s.sockets.Want(s.revisions.Current.Sockets) })
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A worker that only finishes what it has is not one of those that there are.
func TestSuccessorCountsWorkers(t *testing.T) {
	play(t, "workers = 2\nready = \"notify\"\n", silent, func(st *stage) {
		for id := 1; id <= 2; id++ {
			st.say(id, notify.Message{Ready: true})
		}
		st.say(1, notify.Message{Recycle: "tired"})
		st.say(3, notify.Message{Ready: true})
		successor := st.successor()
		successor.log = st.master.log
		successor.greetAgain(successor.options.Inheritance)
		said := st.log.FilterMessage("upgraded").All()
		if len(said) != 1 || said[0].ContextMap()["workers"] != int64(2) || said[0].ContextMap()["draining"] != int64(1) {
			t.Errorf("of two workers, and one that drains, the next master says %v", said)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// An upgrade is refused while something else is under way, and goes wrong
// without harm.
func TestUpgradeInTheLoop(t *testing.T) {
	play(t, "workers = 1\nready = \"notify\"\n", silent, func(st *stage) {
		s := st.master
		refused := func(problem string) {
			t.Helper()
			st.log.TakeAll()
			st.kill(syscall.SIGUSR2)
			lines := st.log.FilterMessage("upgrade refused, nothing was changed").TakeAll()
			if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error"].(string), problem) {
				t.Errorf("refused with %v, want %q", lines, problem)
			}
		}
		refused("it is not known how gosuper was started")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		s.options.Program = Program{self, []string{"gosuper"}}
		refused("the first workers are not ready yet")
		st.say(1, notify.Message{Ready: true})
		s.options.Program.Path += "-which-is-not-there"
		refused("cannot find the program gosuper was started from")
		s.options.Program.Path = self
		s.hands.try = func(c *upgrade.Candidate, _, _ []string, _ int) (*upgrade.Trial, error) {
			return nil, errors.New("no fork")
		}
		refused("no fork")

		var tried *upgrade.Trial
		s.hands.try = func(c *upgrade.Candidate, _, _ []string, _ int) (*upgrade.Trial, error) {
			tried = &upgrade.Trial{Candidate: c, PID: 999}
			for _, tail := range []**process.Tail{&tried.Stdout, &tried.Stderr} {
				*tail = new(process.Tail)
				text := fmt.Sprintf(`{"kept": %q}`, base64.StdEncoding.EncodeToString([]byte(TrialAnswer+"\n")))
				_, err := state.Read([]byte(text), *tail, time.Time{}) // one that has ended
				if err = errors.Join(err, (*tail).Reopen(nil)); err != nil {
					return nil, err
				}
			}
			return tried, nil
		}
		s.hands.become = func(int, []string, []string, int, []int, func() []syscall.Signal) error { return errors.New("no exec") }
		verdict := func(status process.Status, problem string) {
			t.Helper()
			st.kill(syscall.SIGUSR2)
			st.kill(syscall.SIGUSR2) // one is enough
			st.exits = append(st.exits, process.Exit{Pid: 999, Status: status})
			st.log.TakeAll()
			st.kill(syscall.SIGCHLD)
			lines := st.log.FilterMessage("upgrade refused, nothing was changed").TakeAll()
			if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error"].(string), problem) {
				t.Errorf("refused with %v, want %q", lines, problem)
			}
		}
		verdict(process.Status{Code: 2}, "cannot go on: exit status 2")
		verdict(process.Status{}, "no exec")
		st.kill(syscall.SIGHUP)
		refused("a reload is under way")
		st.kill(syscall.SIGTERM)
		refused("the master is stopping")
		st.pass(time.Minute)
		if err := <-st.result; err != nil {
			t.Error(err)
		}
		st.expect("orders", st.orders, []string{"0s stop 1", "0s stop 2", "30s kill 1", "30s kill 2"})
	})
}
