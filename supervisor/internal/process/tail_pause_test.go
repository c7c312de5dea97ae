//go:build linux

package process

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// successor takes the place of a paused Tail, with a descriptor that survives
// the end of the one before.
func successor(t *testing.T, before *Tail, dst io.Writer) *Tail {
	t.Helper()
	text, _, err := state.Write(before, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	after := new(Tail)
	if _, err := state.Read(text, after, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	if after.fd >= 0 {
		if after.fd, err = unix.FcntlInt(uintptr(after.fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	before.Close()
	if err := after.Reopen(dst); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(after.Close)
	return after
}

func pause(t *testing.T, tail *Tail) {
	t.Helper()
	select {
	case <-tail.Pause():
	case <-time.After(testTimeout):
		t.Fatal("the tail does not pause")
	}
}

func TestTailSuccessorsPassEveryByte(t *testing.T) {
	var got bytes.Buffer
	tail, w := tailTo(t, &got)
	var want bytes.Buffer
	for i := range 40_000 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(want.Bytes())
		w.Close()
		written <- err
	}()
	for !tail.Ended() {
		pause(t, tail)
		n := got.Len()
		if got.Len() != n {
			t.Fatal("a paused tail passes on")
		}
		if n%3 == 0 {
			tail.Resume()
			continue
		}
		tail = successor(t, tail, &got)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes arrived of %d, or others", got.Len(), want.Len())
	}
	if lines := tail.Lines(2); !slices.Equal(lines, []string{"line 39998", "line 39999"}) {
		t.Errorf("last lines %q", lines)
	}
	pause(t, tail)
	if after := successor(t, tail, &got); !after.Ended() || !slices.Equal(after.Lines(1), []string{"line 39999"}) {
		t.Errorf("a tail that had ended: %v, %q", after.Ended(), after.Lines(1))
	}
}

func TestTailPauseOfABlockedDestination(t *testing.T) {
	dst := newGate()
	tail, w := tailTo(t, dst)
	w.WriteString("one\n")
	<-dst.entered
	paused := tail.Pause()
	tail.Resume()
	select {
	case <-paused:
		t.Error("paused with bytes in hand")
	default:
	}
	close(dst.open)
	w.WriteString("two\n")
	tail.Drain(testTimeout)
	if got := dst.String(); got != "one\ntwo\n" {
		t.Errorf("passed on %q", got)
	}
	tail.Resume() // nothing to end
	pause(t, tail)
	tail.Resume()
	w.WriteString("three\n")
	tail.Drain(testTimeout)
	if got := dst.String(); got != "one\ntwo\nthree\n" {
		t.Errorf("passed on %q", got)
	}
}

// What is written down of a Tail is not remembered twice by one that goes on.
func TestTailGoesOnWithoutACopy(t *testing.T) {
	var got bytes.Buffer
	tail, w := tailTo(t, &got)
	w.WriteString("one\n")
	tail.Drain(testTimeout)
	pause(t, tail)
	if text, _, err := state.Write(tail, time.Unix(0, 0)); err != nil || !bytes.Contains(text, []byte(`"kept"`)) {
		t.Fatalf("%s, %v", text, err)
	}
	if tail.Resume(); tail.text != nil {
		t.Errorf("%d bytes are held beside what is remembered", len(tail.text))
	}
	if lines := tail.Lines(1); !slices.Equal(lines, []string{"one"}) {
		t.Errorf("last lines %q", lines)
	}
}
