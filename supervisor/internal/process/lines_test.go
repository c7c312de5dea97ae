//go:build linux

package process

import (
	"slices"
	"strings"
	"testing"
)

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		name, text string
		cut        bool // the beginning is no longer kept
		n          int
		want       []string
	}{
		{"none", "", false, 3, nil},
		{"fewer", "a\nb\n", false, 3, []string{"a", "b"}},
		{"more", "a\nb\nc\n", false, 2, []string{"b", "c"}},
		{"no line end", "a\nb", false, 2, []string{"a", "b"}},
		{"blank lines", "a\n\n \n\t\r\nb\n\n", false, 5, []string{"a", "b"}},
		{"beginning cut", "alf a line\nb\n", true, 5, []string{"b"}},
		{"one cut line", "alf a line", true, 5, []string{"alf a line"}},
		{"dos", "a\r\nb\r\n", false, 5, []string{"a", "b"}},
		{"progress", "10%\r50%\r100%\r\n", false, 5, []string{"100%"}},
		{"tab", "\tmain.go:3\n", false, 5, []string{"\tmain.go:3"}},
		{"colour", "\x1b[1;31mError\x1b[0m: \x1b]8;;http://x\x1b\\link\x1b]8;;\a!\x1b(B\n", false, 5, []string{"Error: link!"}},
		{"unended escape", "\x1b]0;title\n\x1b[\n\x1b", false, 5, []string{"\uFFFD[", "\uFFFD"}},
		{"controls", "a\x00b\x07c\x7fd\u0085e\u202ef\n", false, 5, []string{"a\uFFFDb\uFFFDc\uFFFDd\uFFFDe\uFFFDf"}},
		{"not UTF-8", "a\xff\xfeb\xc3\n", false, 5, []string{"a\uFFFDb\uFFFD"}},
		{"letters", "grüße 世界 🙂\n", false, 5, []string{"grüße 世界 🙂"}},
		{"long", "ü" + strings.Repeat("ü", maxLine), false, 5, []string{strings.Repeat("ü", maxLine/2) + "..."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lastLines([]byte(c.text), !c.cut, c.n); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
