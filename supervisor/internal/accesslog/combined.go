//go:build linux

package accesslog

import (
	"bytes"
	"strconv"
)

const hexDigits = "0123456789abcdef"

// appendCombined appends a line in the combined format, if it is one and names the
// worker. What is not printable ASCII becomes \xhh, as if the worker had written it
// so.
func appendCombined(lines, line []byte, worker int) (whole []byte, ok bool) {
	before := len(lines)
	for len(line) > 0 {
		n := printable(line)
		lines, line = append(lines, line[:n]...), line[n:]
		if len(line) > 0 {
			lines = append(lines, '\\', 'x', hexDigits[line[0]>>4], hexDigits[line[0]&15])
			line = line[1:]
		}
	}
	return lines, isCombined(lines[before:], worker)
}

// printable is the length of what text begins with that is printable ASCII.
func printable(text []byte) int {
	for i, c := range text {
		if c < ' ' || c >= 0x7f {
			return i
		}
	}
	return len(text)
}

// isCombined says whether a line is
//
//	ADDRESS - - [TIME] "REQUEST" STATUS BYTES "REFERER" "AGENT" DURATION FIRST WORKER "REQUEST ID" ENDED
//
// with no more quotes than these, so that whoever reads it, from whichever end, finds
// the worker in the same place.
func isCombined(line []byte, worker int) bool {
	if bytes.Contains(line, []byte(`\"`)) {
		return false // which ends a part for some and not for others
	}
	var parts [9][]byte // between quotes
	for i := range parts {
		end := bytes.IndexByte(line, '"')
		if last := i == len(parts)-1; last != (end < 0) {
			return false
		}
		if end < 0 {
			parts[i] = line
			break
		}
		parts[i], line = line[:end], line[end+1:]
	}
	from, when, ok := bytes.Cut(parts[0], []byte(" - - ["))
	if !ok || len(from) == 0 || bytes.IndexByte(from, ' ') >= 0 || bytes.IndexByte(when, ']') != len(when)-2 || !bytes.HasSuffix(when, []byte("] ")) {
		return false
	}
	numbers, ok := between(parts[2])
	status, size, two := bytes.Cut(numbers, []byte(" "))
	if !ok || !two || !isNumber(status) || !isNumber(size) {
		return false
	}
	if string(parts[4]) != " " {
		return false
	}
	times, ok := between(parts[6])
	at := bytes.LastIndexByte(times, ' ')
	if !ok || at < 0 || !isWorker(times[at+1:], worker) {
		return false
	}
	duration, first, two := bytes.Cut(times[:at], []byte(" "))
	if !two || !isNumber(duration) || !isNumber(first) && string(first) != "-" {
		return false
	}
	ended := parts[8]
	return len(ended) > 1 && ended[0] == ' ' && bytes.IndexByte(ended[1:], ' ') < 0
}

// between cuts the spaces off that a part begins and ends with.
func between(part []byte) ([]byte, bool) {
	if len(part) < 2 || part[0] != ' ' || part[len(part)-1] != ' ' {
		return nil, false
	}
	return part[1 : len(part)-1], true
}

// isNumber says whether a text is one that is not negative.
func isNumber(text []byte) bool {
	for i, c := range text {
		if (c < '0' || c > '9') && (c != '.' || i == 0 || i == len(text)-1) {
			return false
		}
	}
	return len(text) > 0
}

// isWorker says whether a text is the id of the worker.
func isWorker(text []byte, worker int) bool {
	if worker == sharedWorker {
		return isNumber(text) && bytes.IndexByte(text, '.') < 0
	}
	var id [20]byte
	return bytes.Equal(text, strconv.AppendInt(id[:0], int64(worker), 10))
}
