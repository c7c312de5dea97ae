//go:build linux

package develop

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/filewatch"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

func init() { runtime.LockOSThread() }

// onMain is what tests have done on the main thread, whose children builds are.
var onMain = make(chan func())

func TestMain(m *testing.M) {
	done := make(chan int)
	go func() { done <- m.Run() }()
	for {
		select {
		case f := <-onMain:
			f()
		case code := <-done:
			os.Exit(code)
		}
	}
}

// main runs f on the main thread, and what it has sent another goroutine for.
func (d *Development) main(f func()) {
	done := make(chan struct{})
	onMain <- func() {
		defer close(done)
		for f(); d.options.Loop.Busy(); {
			(<-d.options.Loop.C)()
		}
	}
	<-done
}

// project is one of a folder of its own, with a build.
func project(t *testing.T, build string) *Project {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "supervisor.toml")
	text := "command = [\"true\"]\nreload = true\n[watch]\npaths = [\"source\"]\nbuild = [\"sh\", \"-c\", '" + build + "']\n"
	for name, text := range map[string]string{file: text, filepath.Join(dir, "source"): ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := config.Load(config.Source{File: file, Dir: dir, Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	return &Project{Config: c, Dir: dir, Output: filepath.Join(dir, "out"), Find: c.ResolveBuild}
}

// develop begins to follow the project.
func develop(t *testing.T, p *Project) *Development {
	t.Helper()
	d := New(Options{
		Log: zap.NewNop(), Environ: os.Environ(), Loop: loop.New(), Project: func() *Project { return p }, Reload: func() {},
		Make: func(start func() (int, error), told func(int, error), _ func(process.Status)) { told(start()) },
	})
	if err := d.Follow(p.Config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// wait waits for the build that runs.
func wait(t *testing.T, d *Development) process.Status {
	t.Helper()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(d.pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	if status.Signaled() {
		return process.Status{Signal: status.Signal()}
	}
	return process.Status{Code: status.ExitStatus()}
}

// TestBuild: a change is built, what changes meanwhile is built again, and only a
// build that worked and is not out of date is a reason to reload.
func TestBuild(t *testing.T) {
	p := project(t, "cp source out")
	d := develop(t, p)
	source := filepath.Join(p.Dir, "source")
	reloads := false
	d.options.Reload = func() { reloads = true }
	doing := func(p *Project, do func()) (reload bool) {
		reloads, d.options.Project = false, func() *Project { return p }
		d.main(do)
		return reloads
	}
	edited := func(p *Project) (reload bool) {
		return doing(p, func() { d.Edited([]filewatch.Change{{Path: source, At: time.Now()}}) })
	}
	ended := func(status process.Status, p *Project) (reload bool) {
		return doing(p, func() { d.Ended(status) })
	}
	if edited(nil) || d.Building() {
		t.Error("something comes of a change that nothing is to come of")
	}
	if edited(p) || !d.Building() || !d.Is(d.pid) || d.Is(0) {
		t.Fatal("a change is not built")
	}
	if edited(p) || d.Due().IsZero() {
		t.Error("a build that is out of date goes on")
	}
	if ended(wait(t, d), p) || !d.Building() || !d.Due().IsZero() {
		t.Fatal("a build that was out of date is not made again")
	}
	status := wait(t, d)
	if !ended(status, p) || d.Building() || status != (process.Status{}) {
		t.Errorf("a build that worked, with %v, is no reason to reload", status)
	}
	if _, err := os.Stat(p.Output); err != nil {
		t.Error(err)
	}
	if err := os.Remove(source); err != nil {
		t.Fatal(err)
	}
	<-time.After(filewatch.EventDelay) // else the change would count as one of the build
	edited(p)
	if ended(wait(t, d), p) {
		t.Error("a build that failed is a reason to reload")
	}
}

// TestExpire: a build that does not heed its interrupt is killed.
func TestExpire(t *testing.T) {
	p := project(t, `trap "" INT; : >out; while :; do sleep 1000; done`)
	d := develop(t, p)
	edit := func() {
		d.Edited([]filewatch.Change{{Path: filepath.Join(p.Dir, "source"), At: time.Now()}})
	}
	d.main(edit)
	for begin := time.Now(); ; time.Sleep(time.Millisecond) { // between two looks for the sign that it ignores the signal
		if _, err := os.Stat(p.Output); err == nil {
			break
		}
		if time.Since(begin) > time.Minute {
			t.Fatal("the build does not begin")
		}
	}
	d.main(edit)
	d.Expire(d.Due().Add(-1))
	if d.Due().IsZero() {
		t.Fatal("it was killed too early")
	}
	d.Expire(d.Due())
	if got := wait(t, d); got.Signal != syscall.SIGKILL {
		t.Errorf("it ended with %v", got)
	}
	d.options.Project = func() *Project { return nil }
	if d.Ended(process.Status{Signal: syscall.SIGKILL}); d.Building() {
		t.Error("something comes of a build that nothing is to come of")
	}
}

// TestOutOfDateBeforeItHasAProcess: a build that is out of date before anybody knows its
// process is told to end as soon as that is known.
func TestOutOfDateBeforeItHasAProcess(t *testing.T) {
	p := project(t, "exec sleep 20")
	d := develop(t, p)
	var tell func()
	d.options.Make = func(start func() (int, error), told func(int, error), _ func(process.Status)) {
		pid, err := start()
		tell = func() { told(pid, err) }
	}
	edit := func() {
		d.Edited([]filewatch.Change{{Path: filepath.Join(p.Dir, "source"), At: time.Now()}})
	}
	d.main(edit)
	if !d.Building() || tell == nil {
		t.Fatal("a change is not built")
	}
	d.main(edit)
	if d.Expire(time.Now().Add(time.Hour)); d.Is(0) || !d.Building() || !d.Due().IsZero() {
		t.Error("something is due of a build that has no process")
	}
	tell()
	if d.Due().IsZero() {
		t.Fatal("it was not told to end")
	}
	if got := wait(t, d); got.Signal != syscall.SIGINT {
		t.Errorf("it ended with %v", got)
	}
	d.options.Project = func() *Project { return nil }
	if d.Ended(process.Status{Signal: syscall.SIGINT}); d.Building() {
		t.Error("something comes of a build that nothing is to come of")
	}
}

// TestFollow: the same files are not watched anew, others are, and in the end none.
func TestFollow(t *testing.T) {
	p := project(t, "true")
	d := develop(t, p)
	first := d.Changes()
	if err := d.Follow(p.Config); err != nil || d.Changes() != first || first == nil {
		t.Errorf("the same files are watched by another watcher: %v", err)
	}
	other := *p.Config
	other.Watch.Paths = []string{"missing"}
	if err := d.Follow(&other); err == nil || d.Changes() != first {
		t.Errorf("files that are not there are watched: %v", err)
	}
	other.Reload = false
	if err := d.Follow(&other); err != nil || d.Changes() != nil {
		t.Errorf("files are watched that nobody follows: %v", err)
	}
}

// slow is a watcher that is just reading a folder, of which nothing comes.
type slow chan struct{}

func (slow) Changes() <-chan []filewatch.Change { return nil }

func (s slow) Close() error {
	<-s
	return nil
}

// TestCloseHangs: whoever watches nothing any more does not wait for a file system that
// does not answer.
func TestCloseHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(slow)
		d := New(Options{Log: zap.NewNop()})
		d.watcher = answer
		if d.Close(); d.Changes() != nil {
			t.Error("files are still watched")
		}
		close(answer)
	})
}
