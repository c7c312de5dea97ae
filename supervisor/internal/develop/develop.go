//go:build linux

package develop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/filewatch"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// buildGrace is how long a build that is out of date may take to clean up before
// it is killed.
const buildGrace = 2 * time.Second

// Options are what a [Development] is given.
type Options struct {
	Log *zap.Logger
	// Environ is the master's environment, which a build gets whole.
	Environ []string
	// Loop is that of the owner.
	Loop *loop.Loop
	// Make has a process made. start does that on the main thread; told learns what came of
	// it, and ended how the process ended if it has already.
	Make func(start func() (pid int, err error), told func(pid int, err error), ended func(process.Status))
	// Project is what is developed at the moment; nil: nothing is to come of changes.
	Project func() *Project
	// Reload is called when it is time to.
	Reload func()
}

// A Project is what is developed.
type Project struct {
	Config *config.Config
	Dir    string // where the command runs, symlinks resolved
	Output string // the executable, which builds write
	// Find finds the program of the build, as [config.Config.ResolveBuild] does. That takes as
	// long as file systems do, and any goroutine may call it.
	Find func() (path string, err error)
}

// A watcher is what a [filewatch.Watcher] is to whoever has one. Close may take as long as a
// file system does.
type watcher interface {
	Changes() <-chan []filewatch.Change
	Close() error
}

// Development is the files that are watched and the build that runs. The build is
// a child of this process like any worker, and of its main thread, which ends it
// with it; its exit comes from whoever reaps those. It belongs to one goroutine.
type Development struct {
	options Options
	watched filewatch.Options // without Paths: nothing
	watcher watcher           // nil: nothing is watched
	ledger  filewatch.Ledger

	starting bool // a build that has no process yet

	pid   int       // of the build that runs; 0: none
	begun time.Time // when it was started
	stale bool      // something changed since, so it is run again
	until time.Time // when a build that was told to end is killed; zero: it was not
}

// New watches nothing yet.
func New(o Options) *Development { return &Development{options: o} }

// Follow watches the files that the configuration names, from now on. After an
// error what was watched before stays so.
func (d *Development) Follow(c *config.Config) error {
	find := d.find(c)
	if find == nil {
		return nil
	}
	follow, err := find()
	if err == nil {
		follow()
	}
	return err
}

// find is Follow in two steps; nil: these files are watched already. find walks all
// folders, which takes as long as their file systems do, and may be called by another
// goroutine. follow belongs to that of d.
func (d *Development) find(c *config.Config) (find func() (follow func(), err error)) {
	var want filewatch.Options
	if c.Reload {
		want = filewatch.Options{Paths: c.Watched(), Only: c.WatchedOnly(), Except: ownFiles(c)}
	}
	if slices.Equal(want.Paths, d.watched.Paths) && slices.Equal(want.Only, d.watched.Only) && slices.Equal(want.Except, d.watched.Except) {
		return nil
	}
	return func() (func(), error) {
		var next *filewatch.Watcher
		if c.Reload {
			o, err := want, error(nil)
			o.Complain = func(err error) { d.options.Log.Warn("not all files are watched", hint.Fields(err)...) }
			if next, err = filewatch.Open(o); err != nil {
				return nil, err
			}
		}
		return func() {
			d.unfollow()
			if d.watched = want; next != nil {
				d.watcher = next
				d.options.Log.Info("watching files", zap.Strings("paths", c.Watch.Paths), zap.Int("folders", next.Folders()), zap.Strings("build", c.Watch.Build))
			}
		}, nil
	}
}

// Watch is [Development.Follow] beside the loop. complaint is what is said if it fails.
func (d *Development) Watch(c *config.Config, complaint string) {
	d.options.Loop.Send(func() loop.Work {
		find := d.find(c)
		if find == nil {
			return nil
		}
		return func() func() {
			follow, err := find()
			if err != nil {
				return func() { d.options.Log.Error(complaint, hint.Fields(err)...) }
			}
			return follow
		}
	})
}

// unfollow watches nothing any more.
func (d *Development) unfollow() {
	if watcher := d.watcher; watcher != nil {
		go func() { // it may be reading a folder
			if err := watcher.Close(); err != nil {
				d.options.Log.Warn("cannot stop watching files", zap.Error(err))
			}
		}()
	}
	d.watcher, d.watched = nil, filewatch.Options{}
}

// ownFiles are those that the master writes itself, its stdout and stderr among
// them.
func ownFiles(c *config.Config) (files []string) {
	stdout, _ := os.Readlink("/proc/self/fd/1")
	stderr, _ := os.Readlink("/proc/self/fd/2")
	for _, file := range []string{c.PIDFile, c.Log.File, c.Log.AccessFile, c.Control.Socket, stdout, stderr} {
		if filepath.IsAbs(file) {
			files = append(files, file)
		}
	}
	return files
}

// Changes is where changed files come from, for Edited; nil: from nowhere.
func (d *Development) Changes() <-chan []filewatch.Change {
	if d.watcher == nil {
		return nil
	}
	return d.watcher.Changes()
}

// Edited deals with changed files: it builds, or reloads where there is nothing to
// build. A build that is out of date is told to end, and begins anew then.
func (d *Development) Edited(batch []filewatch.Change) {
	v := d.ledger.Judge(batch)
	if v.Output != "" {
		d.options.Log.Info("the build writes a file: from now on its changes during a build do not count", zap.String("file", v.Output))
	}
	p := d.options.Project()
	if v.Changed == "" || p == nil {
		return
	}
	d.options.Log.Info("changed", zap.String("file", p.shown(v.Changed)))
	switch {
	case len(p.Config.Watch.Build) == 0:
		d.options.Reload()
	case !d.Building():
		d.build(p)
	default:
		d.stale = true
		if v.Sure && d.until.IsZero() {
			d.interrupt()
		}
	}
}

// shown is a path as people like to read it.
func (p *Project) shown(path string) string {
	if short, err := filepath.Rel(p.Dir, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// build starts a build. It runs as the master itself, with the environment of a
// worker that gets all of the master's, and writes to the master's own stderr.
func (d *Development) build(p *Project) {
	d.ledger.Expect(p.Output)
	d.begun, d.stale = time.Now(), false
	d.ledger.Begin(d.begun)
	d.starting = true
	c := p.Config
	d.options.Loop.Send(func() loop.Work {
		return func() func() {
			path, err := p.Find()
			return func() {
				if err != nil {
					d.started(nil, 0, err)
					return
				}
				spec := process.Spec{
					Path: path, Argv: c.Watch.Build, Dir: p.Dir,
					Env:   c.Environ(nil, d.options.Environ, config.Worker{}),
					Files: []int{process.Null, unix.Stderr, unix.Stderr},
				}
				d.options.Make(func() (int, error) { return process.Start(spec) },
					func(pid int, err error) { d.started(c.Watch.Build, pid, err) }, d.Ended)
			}
		}
	})
}

// started goes on with a build that has a process now. It may be out of date already.
func (d *Development) started(command []string, pid int, err error) {
	d.starting = false
	if err != nil {
		d.until = time.Time{}
		d.ledger.End(time.Now())
		d.options.Log.Error("cannot build, nothing was replaced", hint.Fields(err)...)
		return
	}
	d.pid = pid
	d.options.Log.Info("building", zap.Strings("command", command), zap.Int("pid", pid))
	if !d.until.IsZero() {
		d.interrupt()
	}
}

// Building says whether a build runs.
func (d *Development) Building() bool { return d.starting || d.pid != 0 }

// Is says whether the process is the build that runs.
func (d *Development) Is(pid int) bool { return pid != 0 && pid == d.pid }

// Ended deals with the end of the build, which is time to reload if all is well.
func (d *Development) Ended(status process.Status) {
	log, now, p := d.options.Log, time.Now(), d.options.Project()
	d.pid, d.until = 0, time.Time{}
	d.ledger.End(now)
	took := zap.Duration("took", now.Sub(d.begun).Round(time.Millisecond))
	switch {
	case p == nil:
	case d.stale:
		log.Info("building again", took)
		d.build(p)
	case status != process.Status{}:
		log.Error("build failed, nothing was replaced", zap.Stringer("status", status), took)
	default:
		log.Info("built", took)
		d.options.Reload()
	}
}

// Due is when to call Expire; zero: never.
func (d *Development) Due() time.Time {
	if d.pid == 0 {
		return time.Time{}
	}
	return d.until
}

// interrupt asks the build to end, as soon as it has a process.
func (d *Development) interrupt() {
	d.until = time.Now().Add(buildGrace)
	if d.pid == 0 {
		return
	}
	if err := process.InterruptGroup(d.pid); err != nil {
		d.options.Log.Error("cannot interrupt the build", zap.Error(err))
	}
}

// Expire kills a build that does not end when told to.
func (d *Development) Expire(now time.Time) {
	if d.pid != 0 && !d.until.IsZero() && !d.until.After(now) {
		d.until = time.Time{}
		d.kill()
	}
}

func (d *Development) kill() {
	if d.pid == 0 {
		return
	}
	if err := process.KillGroup(d.pid); err != nil {
		d.options.Log.Error("cannot kill the build", zap.Error(err))
	}
}

// Close watches nothing any more and kills the build, whose exit still comes.
func (d *Development) Close() {
	d.unfollow()
	d.kill()
}

// BuildFirst builds where the command does not exist yet, and waits for it. What
// exists is started as it is. It must be called on the main thread.
func BuildFirst(c *config.Config, environ []string, log *zap.Logger) error {
	if _, err := c.Resolve(); err == nil || !c.Reload || len(c.Watch.Build) == 0 {
		return nil
	}
	path, err := c.ResolveBuild()
	if err != nil {
		return err
	}
	log.Info("building: the command does not exist yet", zap.Strings("command", c.Watch.Build))
	cmd := exec.Cmd{
		Path: path, Args: c.Watch.Build, Dir: c.Chdir, Env: c.Environ(nil, environ, config.Worker{}),
		Stdout: os.Stderr, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the build failed: %w", err)
	}
	return nil
}
