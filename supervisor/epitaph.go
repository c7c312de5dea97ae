//go:build linux

package supervisor

import (
	"fmt"
	"strings"
)

// lastLines is how many of a worker's last lines explain its death.
const lastLines = 20

// epitaph is how a worker ended and the last lines it wrote.
type epitaph struct {
	status string
	lines  []string
	hint   string // at what kept it from being started; "": it was, or nothing is known
}

// unstarted is why a worker could not be started last, and what to do about it.
type unstarted struct{ why, hint string }

// of is the epitaph of a worker in words, for people.
func (e epitaph) of(id int) string {
	text := fmt.Sprintf("worker %d: %s", id, e.status)
	if e.hint != "" {
		return text + " (" + e.hint + ")"
	}
	if len(e.lines) == 0 {
		return text + "; it wrote nothing"
	}
	return text + "; its last lines:\n  " + strings.Join(e.lines, "\n  ")
}

// epitaph is what is known of the end of a worker, dead or as good as dead.
func (s *Supervisor) epitaph(id int) epitaph {
	var e epitaph
	if w := s.workers[id]; w != nil {
		e.status, e.lines = w.ending(), w.lastWords()
	} else {
		i, _ := s.incidents.Of(id)
		e.status, e.lines = i.Status, i.Lines
	}
	if e.status == s.unstarted.why {
		e.hint = s.unstarted.hint
	}
	return e
}
