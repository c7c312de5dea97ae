//go:build linux

package accesslog

import (
	"bytes"
	"unicode/utf8"
)

// appendJSON appends a line that is a JSON object of scalars, if it is one and names
// the worker once. Bytes in texts that are controls of any kind are written as
// numbers, and what is not UTF-8 becomes U+FFFD, as if the worker had written it so.
func appendJSON(lines, line []byte, worker int) (whole []byte, ok bool) {
	s := scanner{text: line, out: lines}
	ok = s.object(worker)
	return s.out, ok
}

// scanner copies JSON of which it knows that it is.
type scanner struct {
	text []byte // what is to come
	out  []byte
}

// object copies an object in which a member "worker", and only one that any reader
// could take for it, has the id of the worker.
func (s *scanner) object(worker int) bool {
	if !s.take('{') {
		return false
	}
	named := false
	for {
		begin := len(s.out) + 1
		if !s.string() {
			return false
		}
		name := s.out[begin : len(s.out)-1]
		// A name written with numbers could be any, and some readers do not mind case.
		if bytes.IndexByte(name, '\\') >= 0 || !s.take(':') {
			return false
		}
		isID := bytes.EqualFold(name, []byte("worker"))
		begin = len(s.out)
		if !s.scalar() {
			return false
		}
		if isID {
			if named || string(name) != "worker" || !isWorker(s.out[begin:], worker) {
				return false
			}
			named = true
		}
		if !s.take(',') {
			break
		}
	}
	if !s.take('}') {
		return false
	}
	s.space()
	return named && len(s.text) == 0
}

// space leaves out the space between two tokens.
func (s *scanner) space() {
	for len(s.text) > 0 && (s.text[0] == ' ' || s.text[0] == '\t' || s.text[0] == '\r') {
		s.text = s.text[1:]
	}
}

// take copies one byte, if it is the next one.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.text) == 0 || s.text[0] != c {
		return false
	}
	s.out, s.text = append(s.out, c), s.text[1:]
	return true
}

// scalar copies a value that has no others in it.
func (s *scanner) scalar() bool {
	s.space()
	if len(s.text) > 0 && s.text[0] == '"' {
		return s.string()
	}
	for _, word := range []string{"null", "true", "false"} {
		if after, ok := bytes.CutPrefix(s.text, []byte(word)); ok {
			s.out, s.text = append(s.out, word...), after
			return true
		}
	}
	return s.number()
}

// number copies one: an integer without leading zeros, a fraction, an exponent.
func (s *scanner) number() bool {
	text := bytes.TrimPrefix(s.text, []byte("-"))
	whole := digits(text)
	if whole == 0 || whole > 1 && text[0] == '0' {
		return false
	}
	if text = text[whole:]; len(text) > 0 && text[0] == '.' {
		n := digits(text[1:])
		if n == 0 {
			return false
		}
		text = text[1+n:]
	}
	if len(text) > 0 && (text[0] == 'e' || text[0] == 'E') {
		if text = text[1:]; len(text) > 0 && (text[0] == '+' || text[0] == '-') {
			text = text[1:]
		}
		n := digits(text)
		if n == 0 {
			return false
		}
		text = text[n:]
	}
	s.out = append(s.out, s.text[:len(s.text)-len(text)]...)
	s.text = text
	return true
}

// digits is the number of them that a text begins with.
func digits(text []byte) int {
	for i, c := range text {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(text)
}

// string copies a text with its quotes.
func (s *scanner) string() bool {
	if !s.take('"') {
		return false
	}
	for {
		n := plain(s.text)
		s.out, s.text = append(s.out, s.text[:n]...), s.text[n:]
		if len(s.text) == 0 {
			return false
		}
		switch c := s.text[0]; {
		case c == '"':
			return s.take('"')
		case c == '\\':
			n := escape(s.text)
			if n == 0 {
				return false
			}
			s.out, s.text = append(s.out, s.text[:n]...), s.text[n:]
		default:
			r, n := utf8.DecodeRune(s.text)
			s.text = s.text[n:]
			switch {
			case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029:
				s.out = append(s.out, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			default:
				s.out = utf8.AppendRune(s.out, r)
			}
		}
	}
}

// plain is the length of what text begins with that stands for itself in a string.
func plain(text []byte) int {
	for i, c := range text {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return len(text)
}

// escape is the length of the escape sequence that text begins with; 0: it is none.
func escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	if bytes.IndexByte([]byte(`"\/bfnrt`), text[1]) >= 0 {
		return 2
	}
	if text[1] != 'u' || len(text) < 6 {
		return 0
	}
	for _, c := range text[2:6] {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0
		}
	}
	return 6
}
