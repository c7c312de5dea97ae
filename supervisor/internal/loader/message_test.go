//go:build linux

package loader

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gosuper/gosuper/worker/protocol"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Message
		err  string // part of it; "": there is none
	}{
		{text: "READY=1", want: Message{Ready: true}},
		{text: "READY=1\n\x00", want: Message{Ready: true}},
		{text: "STATUS=2 threads run", want: Message{HasStatus: true, Status: "2 threads run"}},
		{text: "STATUS=a\x1b[2J", want: Message{HasStatus: true, Status: "a\uFFFD[2J"}},
		{text: "EXTEND_TIMEOUT_USEC=1500000\nSTATUS=loading", want: Message{ExtendTimeout: 1500 * time.Millisecond, HasStatus: true, Status: "loading"}},
		{text: "EXTEND_TIMEOUT_USEC=99999999999999999999", want: Message{ExtendTimeout: 24 * time.Hour}},
		{text: "READY=1\nX_OTHER=2", want: Message{Ready: true}},
		{text: "SPAWNED=7", want: Message{Spawned: 7}},
		{text: "SPAWNED=7\nPID=4711\n", want: Message{Spawned: 7, PID: 4711}},
		{text: "FAILED=7", want: Message{Failed: 7}},
		{text: "FAILED=7\nTraceback:\n  no memory\n\n", want: Message{Failed: 7, Reason: []string{"Traceback:", "  no memory"}}},
		{text: "FAILED=7\nREADY=1", want: Message{Failed: 7, Reason: []string{"READY=1"}}},
		{text: "", err: "says nothing"},
		{text: "\x00\x00", err: "says nothing"},
		{text: "STOPPING=1", err: "says nothing"},
		{text: "READY=2", err: "says nothing"},
		{text: "SPAWNED=", err: "for a number"},
		{text: "SPAWNED=0", err: "for a number"},
		{text: "SPAWNED=-1", err: "for a number"},
		{text: "SPAWNED=+1", err: "for a number"},
		{text: "SPAWNED=4294967296", err: "for a number"},
		{text: "SPAWNED=7\nPID=1x", err: "for a number"},
		{text: "SPAWNED=7\nREADY=1", err: "something else"},
		{text: "SPAWNED=7\nPID=1\nPID=2", err: "for a number"},
		{text: "FAILED=\nno memory", err: "for a number"},
	} {
		m, err := Parse([]byte(c.text))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q gives %+v and %v, want an error with %q", c.text, m, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(m, c.want) {
			t.Errorf("%q gives %+v and %v, want %+v", c.text, m, err, c.want)
		}
	}
	if _, err := Parse(nil); err == nil {
		t.Error("what did not fit is understood")
	}
	long := "FAILED=1\n" + strings.Repeat("x", 200) + strings.Repeat("\nline", 2*maxReason)
	if m, err := Parse([]byte(long)); err != nil || len(m.Reason) != maxLines || m.Reason[0] != "line" {
		t.Errorf("of a long reason %d lines are kept, %v", len(m.Reason), err)
	}
}

// FuzzParse: whatever is sent, what becomes of it is fit for a log and for arithmetic.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"READY=1", "STATUS=x", "SPAWNED=1\nPID=2", "FAILED=3\nno\nmemory", "EXTEND_TIMEOUT_USEC=1", "\n=\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err != nil {
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 2000 {
				t.Errorf("the error is %q", err)
			}
			return
		}
		if m.Spawned < 0 || m.Failed < 0 || m.PID < 0 || m.Spawned > 0 && m.Failed > 0 || m.ExtendTimeout < 0 || m.ExtendTimeout > 24*time.Hour {
			t.Errorf("%q gives %+v", text, m)
		}
		for _, line := range append(slices.Clone(m.Reason), m.Status) {
			if !utf8.ValidString(line) || strings.ContainsAny(line, "\n\r\x00\x1b") || len(line) > 256 {
				t.Errorf("%q gives the line %q", text, line)
			}
		}
		if len(text) > protocol.MaxLoader {
			t.Skip("longer than what is read")
		}
	})
}
