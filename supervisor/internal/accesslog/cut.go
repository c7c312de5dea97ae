//go:build linux

package accesslog

import "bytes"

// cut appends the whole lines of text to lines and returns what is left, which
// is shorter than MaxLine. A line that is too long is cut in pieces.
func cut(lines, text []byte) (whole, left []byte) {
	for {
		end := bytes.IndexByte(text[:min(len(text), MaxLine)], '\n')
		switch {
		case end >= 0:
			lines = append(lines, text[:end+1]...)
			text = text[end+1:]
		case len(text) >= MaxLine:
			lines = append(append(lines, text[:MaxLine-1]...), '\n')
			text = text[MaxLine-1:]
		default:
			return lines, text
		}
	}
}
