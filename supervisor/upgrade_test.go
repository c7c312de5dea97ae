//go:build linux

package supervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// heir makes a master of what the one on the stage would leave to it now. Its loop
// does not run: it is the test's own.
func (st *stage) heir() *Supervisor {
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
	heir, err := newSupervisor(Options{
		Config: i.Config(), Log: zap.NewNop(), Streams: toStderr{}, Inheritance: i,
		Program: i.Program(), Version: s.options.Version,
	}, s.hands)
	if err != nil {
		t.Fatal(err)
	}
	return heir
}

// leave writes what a master would leave, which will go on all the same.
func leave(s *Supervisor) (fd int, err error) {
	e := s.bequeath([]message{{id: 2, Message: notify.Message{Stopping: true}}})
	var shared []*int // both will close them
	if s.busy != nil {
		shared = append(shared, &e.Busy)
	}
	for i := range e.Workers {
		if e.Workers[i].Board >= 0 {
			shared = append(shared, &e.Workers[i].Board)
		}
	}
	for _, fd := range shared {
		if *fd, err = unix.FcntlInt(uintptr(*fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return -1, err
		}
	}
	fd, _, err = e.write()
	return fd, err
}

// text is what a master would leave, but for what only the moment decides.
func text(s *Supervisor) string {
	e := s.bequeath(nil)
	e.Busy = 0
	b, _, err := state.Write(&e, scoreboard.Epoch())
	if err != nil {
		return err.Error()
	}
	var text bytes.Buffer
	if err := json.Indent(&text, b, "", " "); err != nil {
		return err.Error()
	}
	return text.String()
}

// TestHardLimitOfOthers: a version that knew only written limits has said nothing
// beside them.
func TestHardLimitOfOthers(t *testing.T) {
	for written, want := range map[config.Size]config.Size{0: 0, config.GiB: config.GiB, config.SizeAuto: 0} {
		r := estateRevision{Config: &config.Config{MaxWorkerMemoryHard: written}}
		if got := r.hard(); got != want {
			t.Errorf("%s: %s, want %s", written, got, want)
		}
		if r.Hard = new(config.MiB); r.hard() != config.MiB {
			t.Errorf("%s: what was in force is not", written)
		}
	}
}

func TestHeirKnowsAll(t *testing.T) {
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
				s.leaving = append(s.leaving, &leaving{sockets: s.current.sockets, since: time.Now(), look: time.Now().Add(time.Second)})
			}
			s.innocentsLost = 7
			s.current.memory.Hard = 5 * config.GiB // which was chosen then, whatever the machine says by now
			before = text(s)
		})
		if after := text(st.heir()); before != after {
			t.Errorf("the master left\n%s\nand its heir would leave\n%s", before, after)
		}
		st.in(func() { s.leaving = nil })
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// A worker that only finishes what it has is not one of those that there are.
func TestHeirCountsWorkers(t *testing.T) {
	play(t, "workers = 2\nready = \"notify\"\n", silent, func(st *stage) {
		for id := 1; id <= 2; id++ {
			st.say(id, notify.Message{Ready: true})
		}
		st.say(1, notify.Message{Recycle: "tired"})
		st.say(3, notify.Message{Ready: true})
		heir := st.heir()
		heir.log = st.master.log
		heir.greetAgain(heir.options.Inheritance)
		said := st.log.FilterMessage("upgraded").All()
		if len(said) != 1 || said[0].ContextMap()["workers"] != int64(2) || said[0].ContextMap()["draining"] != int64(1) {
			t.Errorf("of two workers, and one that drains, the next master says %v", said)
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}

// What the first version wrote is understood for ever. The file is not to be
// changed; a field that is given up has to be read on.
func TestFirstEstate(t *testing.T) {
	master, err := os.ReadFile("testdata/estate-1.json")
	if err != nil {
		t.Fatal(err)
	}
	i, err := understand(&handover.State{Version: 1, Master: master})
	if err != nil {
		t.Fatal(err)
	}
	brain := i.state.Fleet
	_, generation := brain.Revision()
	w := i.state.Workers[0]
	for _, fact := range []struct {
		what  string
		holds bool
	}{
		{"configuration", i.Config().Workers.N == 2 && i.Config().Command[0] == "/bin/true" && i.Config().KeepAlive == 5*time.Second},
		{"program", i.Program().Path == "/usr/bin/gosuper" && len(i.Program().Args) == 3},
		{"brain", generation == 2 && brain.Target() == 2 && brain.Alive() == len(i.state.Workers)},
		{"workers", w.ID == 2 && w.PID == 8388610 && w.Announced && w.Says == "ready ü"},
		{"counters", i.state.InnocentsLost == 7 && i.state.Restarts[control.Crash] == 1 && i.state.SlotRestarts[0] == 2},
		{"sockets", i.set(i.current.Set).Len() == 1 && i.state.Leaving != nil},
		{"last words", len(i.state.Words) == 1 && i.state.Words[0].ID == 1},
	} {
		if !fact.holds {
			t.Errorf("%s: %+v", fact.what, i.state)
		}
	}
}

func TestEstatesWithHoles(t *testing.T) {
	for text, problem := range map[string]string{
		`{}`: "no configuration is in force",
		`{"current": 1, "revisions": [{"number": 1}]}`:                                                                               "a revision has no configuration",
		`{"current": 1, "revisions": [{"number": 1, "config": {}}]}`:                                                                 "there is no fleet",
		`{"current": 1, "revisions": [{"number": 1, "config": {}, "set": 3}], "fleet": {"current": {"number": 1}}}`:                  "there are no sockets",
		`{"current": 1, "revisions": [{"number": 1, "config": {}}], "sockets": {"sets": [{}]}, "fleet": {"current": {"number": 2}}}`: "there is no revision 2",
		`{"current": 1, "revisions": [{"number": 1, "config": {}}], "sockets": {"sets": [{}]},
			"fleet": {"current": {"number": 1}, "workers": [{"id": 5, "state": "ready", "revision": 1}]}}`: "there is no worker 5",
		`[]`: "cannot unmarshal",
	} {
		if _, err := understand(&handover.State{Master: []byte(text)}); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s\n%v, want %q", text, err, problem)
		}
	}
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
		s.hands.try = func(_ *Supervisor, c candidate, _ int) (*trial, error) { return nil, errors.New("no fork") }
		refused("no fork")

		var tried *trial
		s.hands.try = func(_ *Supervisor, c candidate, _ int) (*trial, error) {
			tried = &trial{candidate: c, pid: 999}
			for _, tail := range []**process.Tail{&tried.answer, &tried.words} {
				var err error
				if *tail, err = process.RestoreTail(process.TailSnapshot{Pipe: -1, Kept: []byte(TrialAnswer + "\n")}, nil); err != nil {
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
		st.expect("deeds", st.deeds, []string{"0s stop 1", "0s stop 2", "30s kill 1", "30s kill 2"})
	})
}

// What masters wrote is read, all of it: who reads it could write the same again.
// The second file is what a master wrote whose workers drained, crashed and waited,
// with an access log, a store of the service manager, and incidents.
func TestStoredStates(t *testing.T) {
	for _, test := range []struct {
		file    string
		givenUp []string // facts that nobody has any more
	}{
		{"testdata/estate-1.json", []string{"stuck", "NoNewPrivs"}}, // which has become one of three
		{"testdata/estate-2.json", nil},
	} {
		master, err := os.ReadFile(test.file)
		if err != nil {
			t.Fatal(err)
		}
		i, err := understand(&handover.State{Version: 1, Master: master})
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := state.Write(&i.state, scoreboard.Epoch())
		if err != nil {
			t.Fatal(err)
		}
		if lost := lost(t, master, again, test.givenUp); len(lost) > 0 {
			t.Errorf("%s: lost is %v", test.file, lost)
		}
	}
}

// lost are the facts of a text of JSON that are not in another one, which leaves out
// zero values.
func lost(t *testing.T, before, after []byte, givenUp []string) (lost []string) {
	t.Helper()
	var was, is any
	if err := errors.Join(json.Unmarshal(before, &was), json.Unmarshal(after, &is)); err != nil {
		t.Fatal(err)
	}
	var compare func(path string, was, is any)
	compare = func(path string, was, is any) {
		if slices.Contains(givenUp, path[strings.LastIndexByte(path, '.')+1:]) {
			return
		}
		switch was := was.(type) {
		case map[string]any:
			is, _ := is.(map[string]any)
			for key, one := range was {
				compare(path+"."+key, one, is[key])
			}
		case []any:
			is, _ := is.([]any)
			for i, one := range was {
				if i == len(is) {
					lost = append(lost, path)
					return
				}
				compare(fmt.Sprintf("%s[%d]", path, i), one, is[i])
			}
		default:
			if was != is && !(is == nil && reflect.ValueOf(was).IsZero()) {
				lost = append(lost, fmt.Sprintf("%s: %v, is %v", path, was, is))
			}
		}
	}
	compare("", was, is)
	return lost
}

// Each fact says whether the next image has it, too.
func TestNoFactIsForgotten(t *testing.T) {
	if untold := state.Untold(reflect.TypeFor[estate]()); len(untold) > 0 {
		t.Errorf("an upgrade would lose %v: tag them with their name in the state, or as transient", untold)
	}
}
