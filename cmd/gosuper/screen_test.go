//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gosuper/gosuper/supervisor"
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
		{"half a sequence", true, []write{{1, "\x1b["}, {1, "2Ka\n"}}, "\x1b[2K[1] a\n"},
		{"nothing", true, []write{{1, ""}, {1, "a\n"}, {1, ""}}, "[1] a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			s := newScreen(&out)
			s.manner.Store(&manner{marks: c.marks, safe: c.marks})
			workers := map[int]func([]byte) (int, error){0: s.Write, -1: s.worker(0, supervisor.Stderr).Write}
			for _, one := range c.says {
				if workers[one.worker] == nil {
					workers[one.worker] = s.worker(one.worker, supervisor.Stderr).Write
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

// TestScreenEscapes: on a terminal nothing that a worker writes reaches what is not
// its own line, and nothing else is lost.
func TestScreenEscapes(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"the line above", "\x1b[1A\x1b[2Kx\n", `[1] \x1b[1A\x1b[2Kx`},
		{"the number, by the cursor", "x\x1b[1Gy\b\n", `[1] x\x1b[1Gy\x08`},
		{"the number, by erasing", "x\x1b[1Ky\x1b[2Kz\n", `[1] x\x1b[1Ky\x1b[2Kz`},
		{"the rest of the line", "x\x1b[K\x1b[0K\n", "[1] x\x1b[K\x1b[0K"},
		{"the title", "\x1b]0;root\a\n", `[1] \x1b]0;root\x07`},
		{"a device", "\x1bP$q\x1b\\\x1b_x\n", `[1] \x1bP$q\x1b\\x1b_x`},
		{"all of it", "\x1bc\x0e\v\f\x7f\n", `[1] \x1bc\x0e\x0b\x0c\x7f`},
		{"controls of one byte", "\x9b1A\x9d0;x\x9c\n", `[1] \x9b1A\x9d0;x\x9c`},
		{"the same as letters", "\u009b1A\u0085\n", `[1] \u009b1A\u0085`},
		{"the other way", "\u202egnorw\u2028\n", `[1] \u202egnorw\u2028`},
		{"a private mode", "\x1b[?1049h\x1b[>4m\x1b[38;5;1 m\n", `[1] \x1b[?1049h\x1b[>4m\x1b[38;5;1 m`},
		{"a colour without end", "\x1b[" + strings.Repeat("1;", 40) + "m\n", `[1] \x1b[` + strings.Repeat("1;", 40) + "m"},
		{"a colour that stays", "\x1b[8mhidden\n", "[1] \x1b[8mhidden\x1b[0m"},
		{"a colour that would colour the number", "\x1b[8mx\ry\n", "[1] \x1b[8mx\r\x1b[0m[1] y"},
		{"colours and letters", "\x1b[1;38:5:208mé\x1b(B\x1b[m 👩‍🚀\tß\n", "[1] \x1b[1;38:5:208mé\x1b(B\x1b[m 👩‍🚀\tß"},
		{"half a letter at the end", "\xc3", `[1] \xc3`},
		{"half a sequence at the end", "\x1b[1", `[1] \x1b[1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for split := range len(c.text) {
				var out strings.Builder
				s := newScreen(&out)
				s.manner.Store(&manner{marks: true, safe: true})
				w := s.worker(1, supervisor.Stdout).(*source)
				io.WriteString(w, c.text[:split])
				io.WriteString(w, c.text[split:])
				w.Flush()
				io.WriteString(s, "log\n")
				if got := strings.TrimSuffix(out.String(), "\nlog\n"); got != c.want {
					t.Errorf("cut at %d: %q, not %q", split, got, c.want)
				}
			}
		})
	}
}

// TestScreenWraps: each line of a worker is one of the log, whatever comes between
// its pieces, and however long it is.
func TestScreenWraps(t *testing.T) {
	var out strings.Builder
	s := newScreen(&out)
	io.WriteString(s.worker(2, supervisor.Stderr), "raw")
	s.manner.Store(&manner{wrap: func(worker int, stream supervisor.Stream, line []byte, whole bool) string {
		if len(line) > 20 {
			line = fmt.Append(nil, len(line))
		}
		return fmt.Sprintln(worker, stream, string(line), whole)
	}})
	w, other := s.worker(1, supervisor.Stdout), s.worker(1, supervisor.Stderr)
	io.WriteString(w, "a\n\nb")
	io.WriteString(other, "c\n")
	io.WriteString(s, "log\n")
	io.WriteString(w, "d\r\n")
	io.WriteString(w, strings.Repeat("x", 3*wrappedLine/2))
	io.WriteString(w, "\n\xff\x1b[1A")
	w.(*source).Flush()
	w.(*source).Flush()
	want := fmt.Sprintf("raw\n1 stdout a true\n1 stdout  true\n1 stderr c true\nlog\n1 stdout bd\r true\n"+
		"1 stdout %d false\n1 stdout %d true\n1 stdout \xff\x1b[1A true\n", wrappedLine, wrappedLine/2)
	if out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
	io.WriteString(w, "half")
	s.manner.Store(new(manner))
	out.Reset()
	io.WriteString(w, " a line\n")
	if out.String() != "half a line\n" {
		t.Errorf("raw again: %q", out.String())
	}
}

// TestScreenColours: each worker has its own, and none is that of a level.
func TestScreenColours(t *testing.T) {
	s := newScreen(io.Discard)
	s.colour = true
	first := s.worker(1, supervisor.Stderr).(*source).mark()
	if !strings.HasPrefix(first, "\x1b[") || !strings.Contains(first, "[1]\x1b[0m ") || first[:5] == s.worker(2, supervisor.Stderr).(*source).mark()[:5] {
		t.Errorf("%q, then %q", first, s.worker(2, supervisor.Stderr).(*source).mark())
	}
	for id := range 20 {
		if mark := s.worker(id, supervisor.Stderr).(*source).mark(); strings.Contains(mark, "\x1b["+red+"m") || strings.Contains(mark, "\x1b["+yellow+"m") {
			t.Errorf("%q", mark)
		}
	}
}
