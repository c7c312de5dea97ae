//go:build linux

package process

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const traceback = "Traceback\n  File a\n  File b\nModuleNotFoundError: nope\n"

func TestHeldLeavesOutWhatWasSaid(t *testing.T) {
	for _, test := range []struct {
		name, wrote, other, passed string
		lines                      int
	}{
		{"the same", traceback, traceback, "", 4},
		{"the same and short", "no\n", "no\n", "", 1},
		{"another time above it", "12:01 starting\n" + traceback, "12:00 starting\n" + traceback, "12:01 starting\n", 4},
		{"more above it", "loading\n" + traceback, traceback, "loading\n", 4},
		{"less above it", traceback, "loading\n" + traceback, "", 4},
		{"another end", traceback + "12:01\n", traceback + "12:00\n", traceback + "12:01\n", 0},
		{"a few lines that are the same", "a\nb\nc\n", "x\nb\nc\n", "a\nb\nc\n", 0},
		{"the end of a longer line", "error\n", "no error\n", "error\n", 0},
		{"an unfinished line", "Loading: 10%", "Loading: 10%", "Loading: 10%", 0},
		{"nothing before it", traceback, "", traceback, 0},
		{"nothing", "", traceback, "", 0},
		{"empty lines", "\n\n\n\n\n", "\n\n\n\n\n", "", 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			var dst bytes.Buffer
			h := Hold(&dst, time.Hour)
			for line := range strings.Lines(test.wrote) {
				if n, err := h.Write([]byte(line)); n != len(line) || err != nil {
					t.Fatal(n, err)
				}
			}
			if dst.Len() > 0 {
				t.Fatalf("%q was not kept back", dst.String())
			}
			if lines, passed := h.ReleaseExcept([]byte(test.other), time.Minute); !passed || lines != test.lines || dst.String() != test.passed {
				t.Errorf("left out %d lines and passed on %q, want %d and %q", lines, dst.String(), test.lines, test.passed)
			}
			h.Write([]byte("later"))
			if got := dst.String(); got != test.passed+"later" {
				t.Errorf("after its release: %q", got)
			}
		})
	}
}

// What is kept back is seen a second later, whatever comes after it.
func TestHeldPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dst bytes.Buffer
		h := Hold(&dst, time.Second)
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			h.order.Lock()
			defer h.order.Unlock()
			if dst.String() != want {
				t.Errorf("passed on %q, want %q", dst.String(), want)
			}
		}
		h.Write([]byte("loading"))
		time.Sleep(900 * time.Millisecond) // in the time of the bubble
		h.Write([]byte("."))
		expect("")
		time.Sleep(101 * time.Millisecond) // in the time of the bubble
		expect("loading.")
		h.Write([]byte("."))
		expect("loading.")
		time.Sleep(time.Minute) // in the time of the bubble
		expect("loading..")
		h.Write(bytes.Repeat([]byte("x"), keep))
		h.Write([]byte("y"))
		expect("loading.." + strings.Repeat("x", keep) + "y")
		var none *Held
		none.Release(time.Hour)
		none.ReleaseExcept(nil, time.Hour)
	})
}

// A destination that blocks keeps nobody for longer than he wants to wait.
func TestHeldDoesNotWaitForItsDestination(t *testing.T) {
	r, w := io.Pipe()
	h := Hold(w, time.Millisecond)
	h.Write([]byte("one"))
	r.Read(nil) // it is being passed on now
	h.Write([]byte("two"))
	if h.Release(10 * time.Millisecond) {
		t.Error("it says that all is passed on")
	}
	text := make([]byte, 6)
	if _, err := io.ReadFull(r, text); err != nil || string(text) != "onetwo" {
		t.Errorf("passed on %q, %v", text, err)
	}
}
