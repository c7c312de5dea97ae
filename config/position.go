package config

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// mark is where something is written.
type mark struct {
	// line is its line, from 1.
	line int
	// written is how its value begins; "" for a table.
	written string
}

// marks are the places of the keys and tables of a file, by their parts joined
// with NUL. Of a table written in several places it has the first.
type marks map[string]mark

// line returns the line of a key, else that of the nearest table around it,
// else 0.
func (m marks) line(path ...string) int {
	for ; len(path) > 0; path = path[:len(path)-1] {
		if found, ok := m[strings.Join(path, "\x00")]; ok {
			return found.line
		}
	}
	return 0
}

// position converts an offset to line and column, both from 1.
func position(text string, offset int) (line, column int) {
	before := text[:min(max(offset, 0), len(text))]
	return 1 + strings.Count(before, "\n"), len(before) - strings.LastIndexByte(before, '\n')
}

// scan finds the keys of a text that the parser has accepted. It is content
// with much that is not TOML, stops where it understands nothing, and looks into
// inline tables but not into lists, in which the configuration has no keys. The
// error is that of a key that is set twice and that the parser let pass.
func scan(text string) (marks, *Error) {
	s := &scanner{text: text, line: 1, marks: make(marks)}
	var table []string
	for s.skipBlank(); s.at < len(s.text); s.skipBlank() {
		start := s.at
		if s.skip("[") {
			line, list := s.line, s.skip("[")
			table = s.key()
			s.lists = 0
			s.mark(table, mark{line: line})
			if list {
				s.lists = 1
			}
			s.skip("]")
			s.skip("]")
		} else {
			s.pair(table)
		}
		if s.at == start {
			break
		}
	}
	return s.marks, s.again
}

// scanner is a position in a text.
type scanner struct {
	text  string
	at    int
	line  int
	marks marks
	// lists is the number of lists around the position.
	lists int
	// again is the first key that is set again; nil if none is.
	again *Error
}

// mark records a path, and the tables around it.
func (s *scanner) mark(path []string, m mark) {
	if s.lists > 0 {
		return
	}
	for n := 1; n <= len(path); n++ {
		name := strings.Join(path[:n], "\x00")
		if _, ok := s.marks[name]; !ok {
			if n < len(path) {
				s.marks[name] = mark{line: m.line}
			} else {
				s.marks[name] = m
			}
		}
	}
}

// pair reads a key of a table and its value.
func (s *scanner) pair(table []string) {
	line := s.line
	path := append(table[:len(table):len(table)], s.key()...)
	if !s.skip("=") {
		return
	}
	s.skipSpace()
	if first, ok := s.marks[strings.Join(path, "\x00")]; ok && s.lists == 0 && s.again == nil {
		// The parser drops the value of a key that is already a table.
		s.again = &Error{Line: line, Key: displayPath(path), Msg: fmt.Sprintf("is already set in line %d", first.line)}
	}
	s.mark(path, mark{line, s.text[s.at:min(s.at+16, len(s.text))]})
	s.value(path)
}

// key reads a key of one or several parts, and the blanks behind it.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.skipSpace()
		start := s.at
		if c := s.peek(); c == '"' || c == '\'' {
			s.skipString()
			parts = append(parts, unquote(s.text[start:s.at]))
		} else {
			s.skipWhile(func(c byte) bool { return strings.IndexByte(" \t\r\n.=]", c) < 0 })
			parts = append(parts, s.text[start:s.at])
		}
		s.skipSpace()
		if !s.skip(".") {
			return parts
		}
	}
}

// unquote reads a quoted part of a key.
func unquote(quoted string) string {
	if !strings.Contains(quoted, `\`) && len(quoted) >= 2 {
		return quoted[1 : len(quoted)-1]
	}
	var part struct{ Key string }
	if _, err := toml.Decode("key = "+quoted, &part); err != nil {
		return quoted
	}
	return part.Key
}

// value skips the value of path, and records the keys of an inline table.
func (s *scanner) value(path []string) {
	switch s.peek() {
	case '"', '\'':
		s.skipString()
	case '[':
		s.at++
		s.lists++
		s.elements("]", func() { s.value(path) })
		s.lists--
	case '{':
		s.at++
		s.elements("}", func() { s.pair(path) })
	default:
		// Dates have blanks in them.
		s.skipWhile(func(c byte) bool { return strings.IndexByte(",]}#\n", c) < 0 })
	}
}

// elements reads what stands between commas up to the closing bracket.
func (s *scanner) elements(end string, element func()) {
	for {
		s.skipBlank()
		if s.skip(end) || s.at == len(s.text) {
			return
		}
		start := s.at
		element()
		s.skipBlank()
		if !s.skip(",") && s.at == start {
			return
		}
	}
}

// skipString skips a string of any of the four kinds.
func (s *scanner) skipString() {
	quote := s.text[s.at : s.at+1]
	end := quote
	if strings.HasPrefix(s.text[s.at:], strings.Repeat(quote, 3)) {
		end = strings.Repeat(quote, 3)
	}
	s.at += len(end)
	for s.at < len(s.text) && !s.skip(end) {
		if quote == `"` && s.peek() == '\\' {
			s.advance()
		}
		s.advance()
	}
	// A string of three quotes may end in one or two quotes more.
	for range 2 {
		if len(end) == 3 {
			s.skip(quote)
		}
	}
}

// skipBlank skips blanks, line ends and comments.
func (s *scanner) skipBlank() {
	for {
		s.skipWhile(func(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' })
		if s.peek() != '#' {
			return
		}
		s.skipWhile(func(c byte) bool { return c != '\n' })
	}
}

// skipSpace skips blanks in a line.
func (s *scanner) skipSpace() {
	s.skipWhile(func(c byte) bool { return c == ' ' || c == '\t' })
}

// skipWhile skips the bytes for which more holds.
func (s *scanner) skipWhile(more func(byte) bool) {
	for s.at < len(s.text) && more(s.text[s.at]) {
		s.advance()
	}
}

// skip skips token, which has no line end, if it stands here.
func (s *scanner) skip(token string) bool {
	if !strings.HasPrefix(s.text[s.at:], token) {
		return false
	}
	s.at += len(token)
	return true
}

// peek returns the byte that stands here; 0 at the end.
func (s *scanner) peek() byte {
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// advance skips one byte.
func (s *scanner) advance() {
	if s.at == len(s.text) {
		return
	}
	if s.text[s.at] == '\n' {
		s.line++
	}
	s.at++
}
