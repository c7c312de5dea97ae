//go:build linux

package supervisor

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
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// buildGrace is how long a build that is out of date may take to clean up before
// it is killed.
const buildGrace = 2 * time.Second

// development is what follows the files of a developer. The build is a child of
// the loop like any worker, for nobody else may wait for children here.
type development struct {
	watcher *filewatch.Watcher // nil: nothing is watched
	changes <-chan []filewatch.Change
	ledger  filewatch.Ledger

	pid   int       // of the build that runs; 0: none
	begun time.Time // when it was started
	stale bool      // something changed since, so it is run again
	until time.Time // when a build that was told to end is killed; zero: it was not
}

// buildFirst builds where the command does not exist yet. What exists is started
// as it is.
func buildFirst(o Options) error {
	c := o.Config
	if _, err := c.Resolve(); err == nil || !c.Reload || len(c.Watch.Build) == 0 {
		return nil
	}
	path, err := c.ResolveBuild()
	if err != nil {
		return err
	}
	o.Log.Info("building: the command does not exist yet", zap.Strings("command", c.Watch.Build))
	cmd := exec.Cmd{
		Path: path, Args: c.Watch.Build, Dir: c.Chdir, Env: c.Environ(nil, o.Environ, 0, 0, 0),
		Stdout: os.Stderr, Stderr: os.Stderr, SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if err := cmd.Run(); err != nil {
		return &Error{Err: fmt.Errorf("the build failed: %w", err)}
	}
	return nil
}

// follow watches the files that the configuration names, from now on.
func (s *Supervisor) follow(c *config.Config) error {
	d := &s.development
	var next *filewatch.Watcher
	if c.Reload {
		var err error
		next, err = filewatch.Open(filewatch.Options{
			Paths: c.Watched(), Except: ownFiles(c),
			Complain: func(err error) { s.log.Warn("not all files are watched", describe(err)...) },
		})
		if err != nil {
			return err
		}
		s.log.Info("watching files", zap.Strings("paths", c.Watch.Paths), zap.Int("folders", next.Folders()), zap.Strings("build", c.Watch.Build))
	}
	s.unfollow()
	if next != nil {
		d.watcher, d.changes = next, next.Changes()
	}
	return nil
}

// unfollow watches nothing any more.
func (s *Supervisor) unfollow() {
	d := &s.development
	if d.watcher != nil {
		if err := d.watcher.Close(); err != nil {
			s.log.Warn("cannot stop watching files", zap.Error(err))
		}
		d.watcher, d.changes = nil, nil
	}
}

// refollow follows another configuration, which has been accepted. What was
// watched stays so if that fails.
func (s *Supervisor) refollow(before, after *config.Config) {
	if before.Reload == after.Reload && slices.Equal(before.Watched(), after.Watched()) && slices.Equal(ownFiles(before), ownFiles(after)) {
		return
	}
	if err := s.follow(after); err != nil {
		s.log.Error("cannot watch other files", describe(err)...)
	}
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

// edited deals with changed files: it builds, or reloads where there is nothing
// to build. A build that is out of date is told to end, and begins anew then.
func (s *Supervisor) edited(batch []filewatch.Change) {
	d := &s.development
	v := d.ledger.Judge(batch)
	if v.Output != "" {
		s.log.Info("the build writes a file: from now on its changes during a build do not count", zap.String("file", v.Output))
	}
	if v.Changed == "" || s.fleet.Stopping() {
		return
	}
	s.log.Info("changed", zap.String("file", s.shown(v.Changed)))
	switch {
	case len(s.current.config.Watch.Build) == 0:
		s.reload()
	case d.pid == 0:
		s.build()
	default:
		d.stale = true
		if v.Sure && d.until.IsZero() {
			s.interruptBuild()
		}
	}
}

// shown is a path as people like to read it.
func (s *Supervisor) shown(path string) string {
	if short, err := filepath.Rel(s.current.resolved.Dir, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// build starts a build. It runs as the master itself, with the environment of a
// worker that gets all of the master's, and writes to the master's own stderr.
func (s *Supervisor) build() {
	d, r := &s.development, s.current
	path, err := r.config.ResolveBuild()
	if err != nil {
		s.log.Error("cannot build, nothing was replaced", describe(err)...)
		return
	}
	d.ledger.Expect(r.resolved.Path)
	d.begun, d.stale = time.Now(), false
	d.ledger.Begin(d.begun)
	d.pid, err = process.Start(process.Spec{
		Path: path, Argv: r.config.Watch.Build, Dir: r.resolved.Dir,
		Env:   r.config.Environ(nil, s.options.Environ, 0, 0, 0),
		Files: []int{process.Null, unix.Stderr, unix.Stderr},
	})
	if err != nil {
		d.pid = 0
		d.ledger.End(time.Now())
		s.log.Error("cannot build, nothing was replaced", zap.Error(err))
		return
	}
	s.leftovers.shared = true // build tools leave servers of their own behind
	s.log.Info("building", zap.Strings("command", r.config.Watch.Build), zap.Int("pid", d.pid))
}

// built deals with the end of the build.
func (s *Supervisor) built(status process.Status) {
	d := &s.development
	now := time.Now()
	d.pid, d.until = 0, time.Time{}
	d.ledger.End(now)
	took := zap.Duration("took", now.Sub(d.begun).Round(time.Millisecond))
	switch {
	case s.fleet.Stopping():
	case d.stale:
		s.log.Info("building again", took)
		s.build()
	case status != process.Status{}:
		s.log.Error("build failed, nothing was replaced", zap.Stringer("status", status), took)
	default:
		s.log.Info("built", took)
		s.reload()
	}
}

// interruptBuild asks the build to end.
func (s *Supervisor) interruptBuild() {
	d := &s.development
	d.until = time.Now().Add(buildGrace)
	if err := process.InterruptGroup(d.pid); err != nil {
		s.log.Error("cannot interrupt the build", zap.Error(err))
	}
}

// expireBuild kills a build that does not end when told to.
func (s *Supervisor) expireBuild() {
	d := &s.development
	if d.pid != 0 && !d.until.IsZero() && !d.until.After(time.Now()) {
		d.until = time.Time{}
		s.killBuild()
	}
}

func (s *Supervisor) killBuild() {
	if d := &s.development; d.pid != 0 {
		if err := process.KillGroup(d.pid); err != nil {
			s.log.Error("cannot kill the build", zap.Error(err))
		}
	}
}

// endDevelopment ends what follows files, with the master.
func (s *Supervisor) endDevelopment() {
	s.unfollow()
	s.killBuild()
}
