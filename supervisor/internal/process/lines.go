//go:build linux

package process

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine bounds a line in bytes; what is cut off is the end.
const maxLine = 4 << 10

// lastLines returns the last n non-blank lines of text, cleaned, oldest first.
// whole says that text starts at the beginning of a line.
func lastLines(text []byte, whole bool, n int) []string {
	var lines []string
	for len(text) > 0 && len(lines) < n {
		text = bytes.TrimSuffix(text, []byte("\n"))
		start := bytes.LastIndexByte(text, '\n') + 1
		partial := start == 0 && !whole
		if line := cleanLine(text[start:]); line != "" && (!partial || len(lines) == 0) {
			lines = append(lines, line)
		}
		text = text[:start]
	}
	slices.Reverse(lines)
	return lines
}

// escapes are the terminal sequences of ECMA-48 that programs write to stderr:
// CSI (colours, cursor), OSC (titles, links) and the two-byte ones.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\a\x1b]*(?:\a|\x1b\\\\)?|[ -/]*[0-Z\\\\^-~])")

// cleanLine makes what a worker wrote fit for a log and a terminal. Escape
// sequences go, and of a line that was overwritten by carriage returns, as
// progress bars do, the last state stays. Tabs are kept; other control and
// invisible characters, and bytes that are not UTF-8, become U+FFFD.
func cleanLine(line []byte) string {
	s := escapes.ReplaceAllString(strings.ToValidUTF8(string(line), "\uFFFD"), "")
	s = strings.TrimRight(s, "\r")
	s = s[strings.LastIndexByte(s, '\r')+1:]
	s = strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return utf8.RuneError
	}, s)
	s = strings.TrimRight(s, " \t")
	if len(s) > maxLine {
		end := maxLine
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "..."
	}
	return s
}
