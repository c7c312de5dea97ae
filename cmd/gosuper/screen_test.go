//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestScreen: who writes what, and what stands there.
func TestScreen(t *testing.T) {
	type write struct {
		worker int // 0: the master
		text   string
	}
	for _, c := range []struct {
		name  string
		marks bool
		says  []write
		want  string
	}{
		{"raw", false, []write{{1, "a\nb\x1b[31m\r\n"}, {2, "c\n"}, {0, "log\n"}}, "a\nb\x1b[31m\r\nc\nlog\n"},
		{"raw pieces", false, []write{{1, "a"}, {2, "b"}, {1, "c\n"}}, "abc\n"},
		{"raw before the log", false, []write{{1, "10%"}, {0, "log\n"}, {1, "20%\n"}, {0, "log\n"}}, "10%\nlog\n20%\nlog\n"},
		{"raw bar before the log", false, []write{{1, "10%\r"}, {0, "log\n"}}, "10%\r\nlog\n"},
		{"raw at the end", false, []write{{1, "last"}, {0, ""}, {0, ""}}, "last\n"},

		{"lines", true, []write{{1, "a\nb\n"}, {12, "c\n"}, {0, "log\n"}}, "[1] a\n[1] b\n[12] c\nlog\n"},
		{"left behind", true, []write{{-1, "a\n"}}, "[-] a\n"},
		{"blank lines", true, []write{{1, "\n\na\n"}}, "[1] \n[1] \n[1] a\n"},
		{"pieces of one line", true, []write{{1, "a"}, {1, "b"}, {1, "c\n"}}, "[1] abc\n"},
		{"a question is seen at once", true, []write{{1, "(Pdb) "}}, "[1] (Pdb) "},
		{"the log within a line", true, []write{{1, "Loading: 10%"}, {0, "log\n"}, {1, " 20%\n"}}, "[1] Loading: 10%\nlog\n[1]  20%\n"},
		{"another within a line", true, []write{{1, "a"}, {2, "b"}, {2, "c\n"}, {1, "d\n"}}, "[1] a\n[2] bc\n[1] d\n"},
		{"a bar", true, []write{{1, "\r10%"}, {1, "\r20%"}, {1, "\r30%\n"}}, "\r[1] 10%\r[1] 20%\r[1] 30%\n"},
		{"a bar that ends in returns", true, []write{{1, "10%\r"}, {1, "20%\r"}, {2, "x\n"}, {1, "30%\r\n"}}, "[1] 10%\r[1] 20%\r\n[2] x\n[1] 30%\r\n"},
		{"a bar that clears", true, []write{{1, "\r\x1b[2K10%"}, {1, "\r\x1b[2K20%\n"}}, "\r\x1b[2K[1] 10%\r\x1b[2K[1] 20%\n"},
		{"colours belong to the text", true, []write{{1, "\x1b[32mINFO\x1b[0m: x\n"}}, "[1] \x1b[32mINFO\x1b[0m: x\n"},
		{"lines of Windows", true, []write{{1, "a\r\nb\r\n"}}, "[1] a\r\n[1] b\r\n"},
		{"half a letter", true, []write{{1, "\xc3"}, {1, "\xa9\n"}}, "[1] é\n"},
		{"half a sequence", true, []write{{1, "\x1b["}, {1, "2Ka\n"}}, "[1] \x1b[2Ka\n"},
		{"nothing", true, []write{{1, ""}, {1, "a\n"}, {1, ""}}, "[1] a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			s := &screen{w: &out}
			s.marks.Store(c.marks)
			workers := map[int]func([]byte) (int, error){0: s.Write, -1: s.worker(0).Write}
			for _, one := range c.says {
				if workers[one.worker] == nil {
					workers[one.worker] = s.worker(one.worker).Write
				}
				if n, err := workers[one.worker]([]byte(one.text)); n != len(one.text) || err != nil {
					t.Fatalf("%q: %d, %v", one.text, n, err)
				}
			}
			if out.String() != c.want {
				t.Errorf("%q, not %q", out.String(), c.want)
			}
		})
	}
}

// TestScreenKeepsEveryByte: but for what it puts in between, a screen writes what
// it was given, however it is cut.
func TestScreenKeepsEveryByte(t *testing.T) {
	text := "\x1b[2K\x1b[1;31mred\r\n\n\r\r10%\r\x1b[K20%\n\x1b[\x1b[3\x1b(0 \xff\xfe last"
	for cut := range len(text) {
		var out strings.Builder
		s := &screen{w: &out, colour: true}
		s.marks.Store(true)
		w := s.worker(3)
		fmt.Fprint(w, text[:cut])
		fmt.Fprint(w, text[cut:])
		if got := strings.ReplaceAll(out.String(), w.(*source).mark(), ""); got != text {
			t.Errorf("cut at %d: %q", cut, got)
		}
	}
}

// TestScreenColours: each worker has its own, and none is that of a level.
func TestScreenColours(t *testing.T) {
	s := &screen{colour: true}
	first := s.worker(1).(*source).mark()
	if !strings.HasPrefix(first, "\x1b[") || !strings.Contains(first, "[1]\x1b[0m ") || first[:5] == s.worker(2).(*source).mark()[:5] {
		t.Errorf("%q, then %q", first, s.worker(2).(*source).mark())
	}
	for id := range 20 {
		if mark := s.worker(id).(*source).mark(); strings.Contains(mark, "\x1b["+red+"m") || strings.Contains(mark, "\x1b["+yellow+"m") {
			t.Errorf("%q", mark)
		}
	}
}
