//go:build linux

package books

import (
	"regexp"
	"strconv"
)

// failed is why a worker could not be started last, and what to do about it.
type failed struct{ why, hint string }

// NotStarted enters why a worker could not be started, and what to do about it.
func (b *Books) NotStarted(why, hint string) { b.failed = failed{why, hint} }

// written is what a worker wrote that did not become ready, as it was seen.
type written struct {
	worker, pid int
	text        []byte
}

// Wrote enters all that was seen of the output of a worker which ended before
// anything was ever ready, so that the next does not have to repeat it.
func (b *Books) Wrote(worker, pid int, text []byte) { b.written = written{worker, pid, text} }

// Written returns what another worker wrote before, as the process of this pid would
// have written it; nil: there was none.
func (b *Books) Written(pid int) (text []byte, worker int) {
	w := &b.written
	if w.worker == 0 {
		return nil, 0
	}
	number := regexp.MustCompile(`\b` + strconv.Itoa(w.pid) + `\b`)
	return number.ReplaceAll(w.text, []byte(strconv.Itoa(pid))), w.worker
}

// AllReady ends the time in which workers repeat each other.
func (b *Books) AllReady() { b.written = written{} }
