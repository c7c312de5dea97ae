//go:build linux

package output

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// absurd is longer than anything here takes.
const absurd = time.Minute

// screen is where all output goes.
type screen struct {
	joined bool
	mu     sync.Mutex
	text   map[string]*bytes.Buffer // by worker and stream
}

func (s *screen) Joined() bool { return s.joined }

func (s *screen) Worker(id int, stream process.Stream) io.Writer {
	return window{s, fmt.Sprint(id, " ", stream)}
}

// window is what one stream of a worker is written to.
type window struct {
	screen *screen
	name   string
}

func (w window) Write(b []byte) (int, error) {
	w.screen.mu.Lock()
	defer w.screen.mu.Unlock()
	if w.screen.text == nil {
		w.screen.text = map[string]*bytes.Buffer{}
	}
	if w.screen.text[w.name] == nil {
		w.screen.text[w.name] = &bytes.Buffer{}
	}
	return w.screen.text[w.name].Write(b)
}

func (s *screen) shows(id int, stream process.Stream) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.text[fmt.Sprint(id, " ", stream)]; b != nil {
		return b.String()
	}
	return ""
}

func say(t *testing.T, fd int, text string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestStreams(t *testing.T) {
	for _, test := range []struct {
		name          string
		joined, apart bool
		want          map[process.Stream]string
	}{
		{"apart", false, false, map[process.Stream]string{process.Stdout: "out\n", process.Stderr: "err\n"}},
		{"joined", true, false, map[process.Stream]string{process.Both: "out\nerr\n"}},
		{"lines say which", true, true, map[process.Stream]string{process.Stdout: "out\n", process.Stderr: "err\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, o := &screen{joined: test.joined}, &Output{}
			if err := o.Open(Options{To: s, ID: 3, Apart: test.apart}); err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			stdout, stderr := o.FDs()
			say(t, stdout, "out\n")
			if !o.PassedOn()(absurd) {
				t.Fatal("it is not passed on")
			}
			say(t, stderr, "err\n")
			if !o.PassedOn()(absurd) {
				t.Fatal("it is not passed on")
			}
			for stream, want := range test.want {
				if got := s.shows(3, stream); got != want {
					t.Errorf("%v shows %q, want %q", stream, got, want)
				}
			}
			if want := []string{"out", "err"}; !slices.Equal(o.LastLines(), want) {
				t.Errorf("remembered are %q", o.LastLines())
			}
		})
	}
}

// What another has said already is not said again.
func TestHeld(t *testing.T) {
	s, o := &screen{}, &Output{}
	if err := o.Open(Options{To: s, ID: 1, Held: true, AtMost: absurd}); err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	_, stderr := o.FDs()
	say(t, stderr, "the same\n")
	if !o.PassedOn()(absurd) || s.shows(1, process.Stderr) != "" {
		t.Errorf("%q is shown at once", s.shows(1, process.Stderr))
	}
	if lines, passed := o.Held().ReleaseExcept([]byte("the same\n"), absurd); lines != 1 || !passed || s.shows(1, process.Stderr) != "" {
		t.Errorf("%d lines are left out, and shown is %q", lines, s.shows(1, process.Stderr))
	}
}

// The next image goes on with both pipes, and with what was remembered.
func TestReopen(t *testing.T) {
	for name, alone := range map[string]bool{"written together": false, "stdout written elsewhere": true} {
		t.Run(name, func(t *testing.T) { testReopen(t, alone) })
	}
}

func testReopen(t *testing.T, alone bool) {
	s, before := &screen{}, &Output{}
	if err := before.Open(Options{To: s, ID: 1}); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := before.FDs()
	for _, fd := range []*int{&stdout, &stderr} { // those of the process
		own, err := unix.FcntlInt(uintptr(*fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(own)
		*fd = own
	}
	before.CloseWriteEnds()
	say(t, stderr, "before\n")
	before.PassedOn()(absurd)
	for _, tail := range before.Tails() {
		<-tail.Pause()
	}
	text, _, err := state.Write(before, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`"pipe":\d+`).ReplaceAllFunc(text, func(pipe []byte) []byte { // what the exec leaves open
		fd, err := strconv.Atoi(string(pipe[len(`"pipe":`):]))
		if err == nil {
			fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Appendf(nil, `"pipe":%d`, fd)
	})
	before.Close()
	after, stray := &Output{}, struct {
		*process.Tail `state:"stdout"`
	}{}
	for _, one := range []any{after, &stray} {
		if _, err := state.Read(text, one, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if alone {
		after.stdout = nil // the version before wrote it elsewhere
	}
	written := after.stdout
	if ok := after.Join(stray.Tail); !ok || (after.stdout == stray.Tail) != alone || !alone && after.stdout != written {
		t.Fatal("it goes on with another stdout")
	}
	if err := after.Reopen(s, 1); err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	say(t, stdout, "out\n")
	say(t, stderr, "after\n")
	after.PassedOn()(absurd)
	if got := s.shows(1, process.Stderr); got != "before\nafter\n" || s.shows(1, process.Stdout) != "out\n" {
		t.Errorf("shown is %q and %q", got, s.shows(1, process.Stdout))
	}
	if lines := after.LastLines(); len(lines) != 3 || !slices.Contains(lines, "before") {
		t.Errorf("remembered are %q", lines)
	}
}

func TestNothing(t *testing.T) {
	o := &Output{}
	if o.Join(new(process.Tail)) || !o.PassedOn()(0) || o.LastLines() != nil || o.Reopen(nil, 1) != nil {
		t.Error("there is nothing to go on with")
	}
	o.Held().Release(0)
	o.CloseWriteEnds()
	o.Close()
}
