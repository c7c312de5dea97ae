//go:build linux

package supervisor

import (
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/filewatch"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
)

// slow is a master that has one ready worker, and what does not answer it until that is
// closed. The functions are called by the loop, before anything was asked of it.
type slow struct {
	*Supervisor
	st    *stage
	until chan struct{}
}

// TestLoopGoesOn: whatever does not answer, the loop does. It replaces a worker that dies,
// says what runs, and ends in time.
func TestLoopGoesOn(t *testing.T) {
	for what, hang := range map[string]func(s slow){
		"nothing": func(slow) {},
		"the disk of the incidents, of the log or of the pid file": func(s slow) {
			s.loop.Send(func() loop.Work {
				return func() func() {
					<-s.until
					return func() {}
				}
			})
			s.files.Reopen()
		},
		"a configuration that is read": func(s slow) {
			good := s.st.load
			s.st.load = func() (*config.Config, []string, error) {
				<-s.until
				return good()
			}
			s.reload()
		},
		"the folder of a socket": func(s slow) { s.sockets.Do(func() { <-s.until }, func() {}) },
		"who was adopted": func(s slow) {
			s.st.deaf = s.until
			s.st.orphans = []process.Orphan{{Pid: noPID - 1, Ended: true}}
		},
		"the program of a build": func(s slow) {
			c := load(s.st.t, oneWorker)
			c.Watch.Build = []string{"make"}
			s.development = develop.New(develop.Options{Log: zap.NewNop(), Loop: s.loop, Project: func() *develop.Project {
				return &develop.Project{Config: c, Find: func() (string, error) {
					<-s.until
					return "", os.ErrNotExist
				}}
			}})
			s.development.Edited([]filewatch.Change{{Path: "/main.go", At: time.Now()}})
		},
		"the kernel that is asked whom it killed": func(s slow) {
			s.limits.Scales.Attach(s.hands.trees, func() (uint64, bool) {
				<-s.until
				return 0, false
			})
		},
		"memory that is measured": func(s slow) {
			s.limits.Scales.Attach(func([]int) ([]scales.Tree, error) {
				<-s.until
				return nil, nil
			}, s.hands.oom)
		},
	} {
		t.Run(what, func(t *testing.T) {
			play(t, "workers = 1\nready = \"notify\"\nmax_worker_memory = \"1GiB\"\n[incidents]\ndir = \""+t.TempDir()+"\"\n", silent, func(st *stage) {
				st.say(1, notify.Message{Ready: true})
				st.pass(time.Minute)
				s := slow{st.master, st, make(chan struct{})}
				st.in(func() { hang(s) })
				begin := time.Now()
				st.exit(1, 3)
				st.master.signs.C <- signs.Message{ID: 2, Message: notify.Message{Ready: true}}
				var is control.Status
				st.in(func() { is = s.report.Status(time.Now()) })
				if took := time.Since(begin); took > 0 || len(is.Workers) != 1 || is.Workers[0].ID != 2 || is.Workers[0].State != "ready" {
					t.Errorf("after %v there are %+v", took, is.Workers)
				}
				st.kill(syscall.SIGTERM)
				st.exit(2, 0)
				if err := <-st.result; err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("the end took %v", took)
				}
				close(s.until)
				synctest.Wait()
			})
		})
	}
}

// stuck is where output goes that is not taken before open is closed.
type stuck struct {
	toStderr
	open chan struct{}
}

func (s stuck) Worker(int, Stream) io.Writer { return s }

func (s stuck) Write(b []byte) (int, error) {
	<-s.open
	return len(b), nil
}

// TestLoopGoesOnWithFullPipes: nobody takes what workers write, without end, and the loop
// neither waits for those who would nor for the workers who do.
func TestLoopGoesOnWithFullPipes(t *testing.T) {
	const workers = 4
	c := load(t, "workers = 4\nready = \"100ms\"\nrestart = { startup_attempts = 1000, backoff_min = 0.01, backoff_max = 0.01 }\n")
	c.Command = []string{"/bin/sh", "-c", "exec yes >&2"}
	const rounds = 5
	ready := make(chan struct{}, 100*workers*rounds)
	log := zap.New(&counter{LevelEnabler: zapcore.InfoLevel, line: func(message string) {
		if message == "worker ready" {
			ready <- struct{}{}
		}
	}})
	reader := stuck{open: make(chan struct{})}
	defer close(reader.open)
	s, ended := realTo(t, c, log, reader)
	wait := func() {
		t.Helper()
		for range workers {
			select {
			case <-ready:
			case err := <-ended:
				t.Fatalf("the master ended: %v", err)
			case <-time.After(time.Minute):
				t.Fatal("the workers that died have no successors")
			}
		}
	}
	deaf := time.Duration(0)
	for range rounds {
		wait()
		var pids []int
		s.loop.Report(func() { pids = slices.Collect(s.roster.PIDs()) })
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		for range 100 {
			deaf = max(deaf, ask(t, s))
		}
	}
	wait()
	begin := time.Now()
	s.loop.Report(func() { s.handle(syscall.SIGQUIT) })
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); deaf > 10*time.Second || took > time.Minute { // which it would be for ever
		t.Errorf("it was deaf for %v, and took %v to end", deaf, took)
	}
}

// TestLoopGoesOnWithLoaderThatHangs: a loader takes no orders any more once it is ready. The
// loop answers all the same, and the master ends in time.
func TestLoopGoesOnWithLoaderThatHangs(t *testing.T) {
	c := load(t, "workers = 100\npreload = true\n")
	c.Command = []string{"/bin/sh", "-c", "printf READY=1 >&$GOSUPER_LOADER_FD; kill -STOP $$"}
	ready := make(chan struct{})
	log := zap.New(&counter{LevelEnabler: zapcore.InfoLevel, line: func(message string) {
		if message == "loader ready" {
			close(ready)
		}
	}})
	s, ended := real(t, c, log)
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("the master ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the loader is not ready")
	}
	deaf := time.Duration(0)
	for range 100 {
		deaf = max(deaf, ask(t, s))
	}
	s.loop.Report(func() {
		if is := s.report.Status(time.Now()); len(is.Workers) == 0 || is.ReadyWorkers > 0 {
			t.Errorf("workers are %+v", is.Workers)
		}
	})
	begin := time.Now()
	s.loop.Report(func() { s.handle(syscall.SIGQUIT) })
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); deaf > 5*time.Second || took > time.Minute { // which it would be until the loader is given up, or for ever
		t.Errorf("it was deaf for %v, and took %v to end", deaf, took)
	}
}
