//go:build linux

package notify

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	status := func(s string) Message { return Message{HasStatus: true, Status: s} }
	for _, c := range []struct {
		text string
		want Message
	}{
		{"", Message{}},
		{"READY=1", Message{Ready: true}},
		{"READY=1\n", Message{Ready: true}},
		{"READY=1\x00", Message{Ready: true}},
		{"READY=0", Message{}},
		{"READY=1 ", Message{}},
		{"ready=1", Message{}},
		{" READY=1", Message{}},
		{"READY=1\nSTATUS=up\nMAINPID=7\nWATCHDOG=1", Message{Ready: true, Watchdog: true, HasStatus: true, Status: "up"}},
		{"STOPPING=1\nSTOPPING=1", Message{Stopping: true}},
		{"X_GOSUPER_FAILED=1", Message{Failed: true}},
		{"STATUS=", status("")},
		{"STATUS=a\nSTATUS=b=c", status("b=c")},
		{"STATUS=tab\there \x1b[31mred\r\x7f", status("tab\ufffdhere \ufffd[31mred\ufffd\ufffd")},
		{"STATUS=\u202egnp.exe\u2028x", status("\ufffdgnp.exe\ufffdx")},
		{"STATUS=\xff\xfe", status("\ufffd\ufffd")},
		{"STATUS=grün 漢字", status("grün 漢字")},
		{"STATUS=" + strings.Repeat("a", 300), status(strings.Repeat("a", 256))},
		{"STATUS=" + strings.Repeat("a", 255) + "é", status(strings.Repeat("a", 255))},
		{"EXTEND_TIMEOUT_USEC=1500000", Message{ExtendTimeout: 1500 * time.Millisecond}},
		{"EXTEND_TIMEOUT_USEC=0", Message{}},
		{"EXTEND_TIMEOUT_USEC=-1", Message{}},
		{"EXTEND_TIMEOUT_USEC=1s", Message{}},
		{"EXTEND_TIMEOUT_USEC=18446744073709551615", Message{ExtendTimeout: 24 * time.Hour}},
		{"EXTEND_TIMEOUT_USEC=18446744073709551616", Message{ExtendTimeout: 24 * time.Hour}},
		{"X_GOSUPER_RECYCLE=max_requests", Message{Recycle: "max_requests"}},
		{"X_GOSUPER_RECYCLE=", Message{Recycle: "worker"}},
		{"X_GOSUPER_RECYCLE=Out Of Memory", Message{Recycle: "worker"}},
		{"X_GOSUPER_RECYCLE=" + strings.Repeat("a", 32), Message{Recycle: strings.Repeat("a", 32)}},
		{"X_GOSUPER_RECYCLE=" + strings.Repeat("a", 33), Message{Recycle: "worker"}},
		{"BARRIER=1", Message{}},
		{"READY=1\nBARRIER=1", Message{}},
		{"BARRIER=0\nREADY=1", Message{Ready: true}},
	} {
		if got := Parse([]byte(c.text)); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"READY=1\nSTATUS=up", "EXTEND_TIMEOUT_USEC=99999999999999999999", "X_GOSUPER_RECYCLE=max_requests",
		"BARRIER=1", "STATUS=\xff\x00\u202e" + strings.Repeat("漢", 100), "=\n\n\x00",
	} {
		f.Add([]byte(s))
	}
	name := regexp.MustCompile(`^[a-z0-9_]{0,32}$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		m := Parse(text)
		if len(m.Status) > maxStatus || !utf8.ValidString(m.Status) {
			t.Errorf("status %q", m.Status)
		}
		for _, r := range m.Status {
			if !unicode.IsPrint(r) && r != utf8.RuneError {
				t.Errorf("status has %U", r)
			}
		}
		if m.ExtendTimeout < 0 || m.ExtendTimeout > maxExtend {
			t.Errorf("extension %v", m.ExtendTimeout)
		}
		if !name.MatchString(m.Recycle) {
			t.Errorf("reason %q", m.Recycle)
		}
		if m.Status != "" && !m.HasStatus {
			t.Error("a status that was not given")
		}
	})
}
