//go:build linux

package main

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// tame is what the worker wrote, with its number before each line if lines are
// marked, also before one that overwrites another. Nothing in it leads a terminal
// out of its line, nor to the number: what would is escaped. Colours and the end of
// a line that is erased are what programs need, and stay within the line.
func (w *source) tame(m *manner, b []byte, end bool) []byte {
	s := w.screen
	mark := ""
	if m.marks {
		mark = w.mark()
	}
	out := make([]byte, 0, len(b)+len(mark)*(1+bytes.Count(b, []byte("\n"))))
	if s.last != w {
		out = s.unstyle(out)
		if m.marks {
			out = s.begin(out)
		}
	}
	s.last = w
	begin := func() {
		if s.at != inLine {
			out = append(s.unstyle(out), mark...)
		}
		s.at = inLine
	}
	for len(b) > 0 {
		kind, n := lex(b)
		if kind == eraseLine && s.at == inLine {
			kind, n = other, 1
		}
		if kind == partial && !end {
			w.held = bytes.Clone(b)
			break
		}
		switch word := b[:n]; {
		case kind == newline:
			if s.at == atStart {
				begin()
			}
			out = append(s.unstyle(out), '\n')
			s.at = atStart
		case kind == carriageReturn:
			if s.at == inLine {
				s.at = atReturned
			}
			out = append(out, '\r')
		case kind == eraseRest, kind == eraseLine:
			out = append(out, word...) // before the number: after it, it could take that away
		case kind == plainText:
			begin()
			out = append(out, word...)
		case kind == style:
			begin()
			s.styled = !bytes.Equal(word, []byte("\x1b[m")) && !bytes.Equal(word, []byte("\x1b[0m"))
			out = append(out, word...)
		default:
			begin()
			out = appendEscaped(out, word)
		}
		b = b[n:]
	}
	return out
}

// mark is the worker's number. Colours that mean a level are nobody's.
func (w *source) mark() string {
	number := "-"
	if w.id > 0 {
		number = fmt.Sprint(w.id)
	}
	colours := []string{"36", "35", "32", "34", "96", "95", "92", "94"}
	e := consoleEncoder{colour: w.screen.colour}
	return e.paint(colours[w.id%len(colours)], "["+number+"]") + " "
}

// kind is what a terminal makes of some bytes.
type kind int

const (
	plainText      kind = iota // letters, and what selects the common ones
	newline                    //
	carriageReturn             //
	style                      // a colour: SGR of ECMA-48
	eraseRest                  // of the line: EL
	eraseLine                  // or its beginning
	other                      // what may do anything
	partial                    // the beginning of something
)

// sequenceLength is that of the longest colour.
const sequenceLength = 64

// lex returns what b begins with, and how long that is, at least 1.
func lex(b []byte) (kind, int) {
	switch b[0] {
	case '\n':
		return newline, 1
	case '\r':
		return carriageReturn, 1
	case '\x1b':
		return lexSequence(b)
	}
	n := 0
	for n < len(b) {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size == 1 || r != '\t' && !shown(r) {
			break
		}
		n += size
	}
	switch {
	case n > 0:
		return plainText, n
	case !utf8.FullRune(b):
		return partial, 1
	}
	_, n = utf8.DecodeRune(b)
	return other, n
}

// shown reports whether a rune is something to be seen, or joins what is.
func shown(r rune) bool { return unicode.IsGraphic(r) || r == '\u200c' || r == '\u200d' }

// lexSequence is lex of what begins with ESC. Of what is not allowed that alone is
// escaped: what follows it is text then.
func lexSequence(b []byte) (kind, int) {
	end := 2
	for end < len(b) && end < sequenceLength && (b[end] >= '0' && b[end] <= ';') {
		end++
	}
	switch {
	case len(b) == 1 || end == len(b) && (b[1] == '[' || b[1] == '('):
		return partial, 1
	case b[1] == '(' && b[2] == 'B': // ASCII, as tput sgr0 says before the end of colours
		return plainText, 3
	case b[1] == '[' && b[end] == 'm':
		return style, end + 1
	case b[1] == '[' && b[end] == 'K':
		switch string(b[2:end]) {
		case "", "0":
			return eraseRest, end + 1
		case "1", "2":
			return eraseLine, end + 1
		}
	}
	return other, 1
}

// appendEscaped adds what a person can read in the place of what drives a terminal.
func appendEscaped(out, word []byte) []byte {
	r, size := utf8.DecodeRune(word)
	if r == utf8.RuneError && size == 1 || r < utf8.RuneSelf {
		return fmt.Appendf(out, `\x%02x`, word[0])
	}
	return fmt.Appendf(out, `\u%04x`, r)
}
