package supervisor

import (
	"fmt"
	"strings"
)

// lastLines is how many of a worker's last lines explain its death.
const lastLines = 20

// epitaph is how a worker ended and the last lines it wrote to stderr.
type epitaph struct {
	status string
	lines  []string
}

// of is the epitaph of a worker in words, for people.
func (e epitaph) of(id int) string {
	text := fmt.Sprintf("worker %d: %s", id, e.status)
	if len(e.lines) == 0 {
		return text + "; it wrote nothing to stderr"
	}
	return text + "; its last lines:\n  " + strings.Join(e.lines, "\n  ")
}

// epitaphs are those of the workers that failed most recently.
type epitaphs struct {
	by    map[int]epitaph
	order []int
}

// add keeps an epitaph and forgets the oldest of more than sixteen.
func (e *epitaphs) add(id int, what epitaph) {
	if e.by == nil {
		e.by = map[int]epitaph{}
	}
	e.by[id] = what
	if e.order = append(e.order, id); len(e.order) > 16 {
		delete(e.by, e.order[0])
		e.order = e.order[1:]
	}
}

func (e *epitaphs) of(id int) epitaph { return e.by[id] }
