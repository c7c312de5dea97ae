//go:build linux

package accesslog

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestCut(t *testing.T) {
	long := strings.Repeat("y", MaxLine-1)
	tests := []struct{ name, text, lines, left string }{
		{"nothing", "", "", ""},
		{"a line", "a\n", "a\n", ""},
		{"lines and a beginning", "a\n\nb\nc", "a\n\nb\n", "c"},
		{"the longest line", long + "\nb", long + "\n", "b"},
		{"the longest beginning", long, "", long},
		{"one byte too long", long + "z\nb", long + "\nz\n", "b"},
		{"no end", long + long + "z", long + "\n" + long + "\n", "z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			lines, left := cut(nil, []byte(test.text))
			if string(lines) != test.lines || string(left) != test.left {
				t.Errorf("got %q and %q", lines, left)
			}
		})
	}
}

// TestCutAnything holds that however the text comes in, nothing of it is lost
// and no line is too long.
func TestCutAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		text := make([]byte, rng.IntN(4*MaxLine))
		for i := range text {
			text[i] = 'x'
			if rng.IntN(1+rng.IntN(3*MaxLine)) == 0 {
				text[i] = '\n'
			}
		}
		var lines, left []byte
		for rest := text; len(rest) > 0; {
			n := 1 + rng.IntN(len(rest))
			lines, left = cut(lines, append(left, rest[:n]...))
			rest = rest[n:]
		}
		if len(left) >= MaxLine {
			t.Fatalf("%d bytes are left", len(left))
		}
		for line := range bytes.Lines(lines) {
			if len(line) > MaxLine || line[len(line)-1] != '\n' {
				t.Fatalf("a line of %d bytes", len(line))
			}
		}
		drop := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), nil) }
		if !bytes.Equal(drop(append(lines, left...)), drop(text)) {
			t.Fatal("something is missing")
		}
	}
}
