//go:build linux

package accesslog

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestCut(t *testing.T) {
	a, longest := testLine(1, 0, 150), testLine(1, 1, MaxLine)
	over := testLine(1, 2, MaxLine+1)
	tests := []struct {
		name, text, lines, left string
		refused                 uint64
	}{
		{"nothing", "", "", "", 0},
		{"a line", a, a, "", 0},
		{"lines and a beginning", a + "\n" + a + "c", a + a, "c", 1},
		{"the longest line", longest + "b", longest, "b", 0},
		{"the longest beginning", longest[:MaxLine-1], "", longest[:MaxLine-1], 0},
		{"one byte too long", over + a, a, "", 1},
		{"three times too long", strings.Repeat("y", 3*MaxLine) + "\n" + a, a, "", 1},
		{"no end", strings.Repeat("y", 3*MaxLine), "", "", 0},
		{"too long once it is escaped", strings.Replace(longest, "xxx", "x\x1bx", 1) + a, a, "", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := &pipe{worker: 1, format: "combined"}
			lines, refused := p.cut(nil, []byte(test.text))
			if string(lines) != test.lines || string(p.rest) != test.left || refused != test.refused {
				t.Errorf("got %q and %q, %d refused", lines, p.rest, refused)
			}
		})
	}
}

// TestCutAnything holds that however the text comes in, the same lines come out, and
// what does not is counted.
func TestCutAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var text []byte
		var want strings.Builder
		refused := uint64(0)
		for i := range rng.IntN(10) {
			line := testLine(1, i, 150+rng.IntN(MaxLine-150))
			switch rng.IntN(4) {
			case 0:
				line = strings.Repeat("z ", 1+rng.IntN(2*MaxLine)) + line
				refused++
			case 1:
				line = strings.ReplaceAll(line, " 1 ", " 2 ")
				refused++
			default:
				want.WriteString(line)
			}
			text = append(text, line...)
		}
		p := &pipe{worker: 1, format: "combined"}
		var lines []byte
		for rest := text; len(rest) > 0; {
			n := 1 + rng.IntN(len(rest))
			var more uint64
			lines, more = p.cut(lines, append(bytes.Clone(p.rest), rest[:n]...))
			refused -= more
			rest = rest[n:]
			if len(p.rest) >= MaxLine {
				t.Fatalf("%d bytes are left", len(p.rest))
			}
		}
		if string(lines) != want.String() || refused != 0 {
			t.Fatalf("got %d bytes, not %d, and %d refused lines are not counted", len(lines), want.Len(), refused)
		}
	}
}

// A worker may be silent for as long as it likes, and make up for a second of it.
func TestRate(t *testing.T) {
	p := &pipe{worker: 1, format: "combined"}
	line := []byte(testLine(1, 0, 1<<10))
	for name, silent := range map[string]time.Duration{"new": 1e6 * time.Hour, "silent for an hour": time.Hour, "silent for a second": time.Second} {
		p.paid = time.Now().Add(-silent)
		lines := 0
		for begin := time.Now(); !p.tooMuch() && time.Since(begin) < testTimeout; lines++ {
			p.cut(nil, line)
		}
		if least := Rate / len(line); lines < least || !p.wakes().After(time.Now()) {
			t.Errorf("%s: too much after %d lines, not %d", name, lines, least)
		}
	}
}
