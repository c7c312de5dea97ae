//go:build linux

package socket

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A desk is an owner of sets whose file system does not answer before it is told to.
type desk struct {
	t       *testing.T
	paths   *Paths
	answer  chan struct{}
	todo    chan func()
	trouble []error
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, answer: make(chan struct{}), todo: make(chan func())}
	d.paths = NewPaths(func(do func()) { d.todo <- do }, func(_ string, err error) { d.trouble = append(d.trouble, err) })
	return d
}

// hang has nothing be done before work.
func (d *desk) hang() { d.paths.Do(func() { <-d.answer }, func() {}) }

// work has the file system answer, and does what the owner has to.
func (d *desk) work() {
	d.t.Helper()
	for answer := d.answer; d.paths.Busy(); {
		select {
		case answer <- struct{}{}:
			answer = nil
		case do := <-d.todo:
			do()
		case <-time.After(testTimeout):
			d.t.Fatal("nothing is done")
		}
	}
}

func (d *desk) expectPath(path string, there bool) {
	d.t.Helper()
	if _, err := os.Lstat(path); (err == nil) != there || err != nil && !errors.Is(err, os.ErrNotExist) {
		d.t.Errorf("the path: %v; want it to be there: %t", err, there)
	}
	for _, err := range d.trouble {
		d.t.Error(err)
	}
}

func TestPathsAreWaitedForAMoment(t *testing.T) {
	d, path := newDesk(t), t.TempDir()+"/s"
	s := listen(t, "unix:"+path)
	d.paths.CloseForAll(s)
	if d.expectPath(path, false); d.paths.Busy() {
		t.Error("something is not done yet")
	}
}

// A file system that is slow keeps nobody waiting for a moment again and again.
func TestPathsAreNotWaitedForAgain(t *testing.T) {
	d := newDesk(t)
	d.hang()
	d.work()
	begin := time.Now()
	const times = 20
	for range times {
		d.hang()
		d.work()
	}
	if took := time.Since(begin); took > times*moment/2 {
		t.Errorf("%d things that take long keep their owner waiting for %v", times, took)
	}
}

// A file system that does not answer holds nobody up, and all is done in its turn.
func TestPathsThatHang(t *testing.T) {
	for name, do := range map[string]func(*Paths, *Set){
		"close":     (*Paths).Close,
		"for all":   (*Paths).CloseForAll,
		"quiesce":   (*Paths).Quiesce,
		"and close": func(p *Paths, s *Set) { p.Quiesce(s); p.CloseForAll(s) },
	} {
		t.Run(name, func(t *testing.T) {
			d, path := newDesk(t), t.TempDir()+"/s"
			s := listen(t, "unix:"+path, "127.0.0.1:0")
			before := openDescriptors(t)
			d.hang()
			do(d.paths, s)
			d.expectPath(path, true)
			if _, err := dial(t, s.URLs()[1]); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("what is not about a path waits for it: %v", err)
			}
			d.work()
			d.expectPath(path, false)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if n := openDescriptors(t); n > before {
				t.Errorf("%d descriptors became %d", before, n)
			}
		})
	}
}

func TestRenew(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, s *Set, path string)
		what   string
	}{
		"shut": {func(t *testing.T, s *Set, _ string) { unix.Shutdown(s.Fds(0)[0], unix.SHUT_RDWR) }, "was shut down"},
		"gone": {func(t *testing.T, _ *Set, path string) { os.Remove(path) }, "lost its path"},
		"well": {func(*testing.T, *Set, string) {}, ""},
		"another's": {func(t *testing.T, _ *Set, path string) {
			if err := errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, path := newDesk(t), t.TempDir()+"/s"
			s := listen(t, "unix:"+path)
			fd := s.Fds(0)[0]
			c.damage(t, s, path)
			d.hang()
			what := ""
			d.paths.Renew([]*Set{s, s}, func(renewed *Set, damages []Damage, err error) {
				if err != nil || len(damages) != 1 || renewed.Len() != 1 || renewed.Fds(0)[0] != fd {
					t.Errorf("renewed %v for %v, %v", renewed.URLs(), damages, err)
					return
				}
				what = damages[0].What
			})
			d.work()
			if what != c.what {
				t.Errorf("it %q, want %q", what, c.what)
			}
			if c.what != "" {
				talk(t, fd, mustDial(t, s.URLs()[0]))
			}
			d.expectPath(path, true)
		})
	}
}

// Who is closed, or leaves, while it is being renewed is not there any more.
func TestRenewedInVain(t *testing.T) {
	for name, do := range map[string]func(*Paths, *Set){"closed": (*Paths).CloseForAll, "quiesced": (*Paths).Quiesce} {
		t.Run(name, func(t *testing.T) {
			d, path := newDesk(t), t.TempDir()+"/s"
			s := listen(t, "unix:"+path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			d.hang()
			d.paths.Renew([]*Set{s}, func(renewed *Set, damages []Damage, err error) {
				t.Errorf("renewed %v for %v, %v", renewed.URLs(), damages, err)
			})
			do(d.paths, s)
			d.work()
			d.expectPath(path, false)
		})
	}
}

// A socket that comes back after it left is bound when that can be; then it is told.
func TestComesBackLate(t *testing.T) {
	d, path := newDesk(t), t.TempDir()+"/s"
	s := listen(t, "unix:"+path)
	d.paths.Quiesce(s)
	d.expectPath(path, false)
	d.hang()
	told := 0
	listening := func() {
		t.Helper()
		err := d.paths.Listen(s, func(renewed *Set) {
			if told += renewed.Len(); s.Bits(renewed) != 1 {
				t.Errorf("renewed is %v", renewed.URLs())
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	listening()
	listening() // for another worker
	d.work()
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	talk(t, s.Fds(0)[0], mustDial(t, s.URLs()[0]))
	d.expectPath(path, true)

	d.paths.Quiesce(s)
	d.hang()
	listening()
	d.paths.Quiesce(s) // it leaves again
	d.work()
	if told != 1 {
		t.Errorf("told %d times of what has left again", told)
	}
	d.expectPath(path, false)
}
