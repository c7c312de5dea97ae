//go:build linux

package ownfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
)

// masterLog is a log that writes down what is done to it.
type masterLog struct {
	did  []string
	err  error
	wait chan struct{} // of Apply; nil: it does not
}

func (l *masterLog) Apply(c config.Log) error {
	if l.wait != nil {
		<-l.wait
	}
	l.did = append(l.did, "apply "+c.File)
	return l.err
}

func (l *masterLog) Reopen() error {
	l.did = append(l.did, "reopen")
	return l.err
}

// owner is the goroutine that owns files.
type owner struct {
	t     *testing.T
	loop  *loop.Loop
	files *Files
	says  *observer.ObservedLogs
	lost  []uint64
}

func own(t *testing.T, log Log) *owner {
	t.Helper()
	core, says := observer.New(zap.InfoLevel)
	o := &owner{t: t, loop: loop.New(), files: &Files{}, says: says}
	o.files.Attach(Options{
		Loop: o.loop, Log: log, Logger: zap.New(core),
		Turns: func(string) accesslog.Turn { return nil },
		Lost:  func(n uint64) { o.lost = append(o.lost, n) },
	})
	end, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case do := <-o.loop.C:
				do()
			case <-end:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(end)
		<-over
		o.files.EndAccess()
		o.files.ClosePID(time.Minute)
	})
	return o
}

// do has the owner do something, and returns when all that it sent is over.
func (o *owner) do(what func()) {
	o.t.Helper()
	over := make(chan struct{})
	o.loop.Report(func() {
		what()
		o.loop.Afterwards(func() { close(over) })
	})
	<-over
}

func (o *owner) expect(what string, want ...string) {
	o.t.Helper()
	var got []string
	for _, e := range o.says.TakeAll() {
		got = append(got, e.Message)
	}
	if !slices.Equal(got, want) {
		o.t.Errorf("%s: the log says %q, want %q", what, got, want)
	}
}

// TestMove: each file goes where the configuration wants it, and what cannot stays.
func TestMove(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	log := &masterLog{}
	o := own(t, log)
	if err := errors.Join(o.files.OpenPID(in("first.pid")), o.files.OpenAccess(in("first.access"))); err != nil {
		t.Fatal(err)
	}
	c := &config.Config{PIDFile: in("second.pid")}
	c.Log.File, c.Log.AccessFile = "log", in("second.access")
	o.do(func() { o.files.Move(c) })
	o.expect("a move")
	if text, err := os.ReadFile(in("second.pid")); err != nil || string(text) != strconv.Itoa(os.Getpid())+"\n" || o.files.PIDPath() != in("second.pid") {
		t.Errorf("the pid file says %q, %v", text, err)
	}
	if _, err := os.Stat(in("first.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first pid file is left: %v", err)
	}
	if _, err := os.Stat(in("second.access")); err != nil {
		t.Error(err)
	}
	log.err = errors.New("read-only file system")
	bad := &config.Config{PIDFile: in("no/folder/pid")}
	bad.Log.File, bad.Log.AccessFile = "bad", in("no/folder/access")
	o.do(func() { o.files.Move(bad) })
	o.expect("what cannot be", "cannot change the log", "cannot change the access log", "cannot change the pid file")
	if o.files.PIDPath() != in("second.pid") {
		t.Errorf("the pid file is %q", o.files.PIDPath())
	}
	if !slices.Equal(log.did, []string{"apply log", "apply bad"}) {
		t.Errorf("to the log was done %q", log.did)
	}
}

// TestReopen: once is enough for all who ask while something else is not over.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access")
	log := &masterLog{wait: make(chan struct{})}
	o := own(t, log)
	if err := o.files.OpenAccess(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	c := &config.Config{}
	c.Log.AccessFile = path + ".2"
	o.do(func() {
		o.files.Move(c)
		for range 3 {
			o.files.Reopen()
		}
		close(log.wait)
	})
	if !slices.Equal(log.did, []string{"apply ", "reopen"}) {
		t.Errorf("to the log was done %q", log.did)
	}
	if err := os.Rename(path+".2", path+".3"); err != nil {
		t.Fatal(err)
	}
	o.do(o.files.Reopen)
	if _, err := os.Stat(path + ".2"); err != nil {
		t.Errorf("the access log was not opened anew: %v", err)
	}
	log.err = errors.New("read-only file system")
	o.do(o.files.Reopen)
	o.expect("what cannot be", "cannot reopen the log")
}

// TestCloseAccess: lines that cannot be written are told, and counted when the log is
// closed.
func TestCloseAccess(t *testing.T) {
	o := own(t, nil)
	if o.files.Access() != nil || o.files.AccessLost() != 0 {
		t.Error("there is an access log before the first")
	}
	if err := o.files.OpenAccess("/dev/full"); err != nil {
		t.Fatal(err)
	}
	access := o.files.Access()
	if err := o.files.MakeAccess(); err != nil || o.files.Access() != access {
		t.Errorf("another one is made: %v", err)
	}
	fd, err := access.Open(7, "combined")
	if err != nil {
		t.Fatal(err)
	}
	line := `192.0.2.1 - - [02/Jan/2006:15:04:05 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 0.000123 0.000120 7 "-" ok` + "\n"
	if _, err := unix.Write(fd, []byte(line)); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	o.do(o.files.CloseAccess)
	if o.files.Access() != nil {
		t.Error("it is there when it is closed")
	}
	var sum uint64
	for _, n := range o.lost {
		sum += n
	}
	if sum != 1 {
		t.Errorf("lost are %v, want 1 in all", o.lost)
	}
	o.expect("a full disk", "lines of the access log are lost", "lines of the access log were lost")
	o.do(o.files.CloseAccess)
}
