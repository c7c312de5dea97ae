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

// epitaph is what is known of the end of a worker, dead or as good as dead.
func (s *Supervisor) epitaph(id int) epitaph {
	if w := s.workers[id]; w != nil {
		return epitaph{w.ending(), w.lastWords()}
	}
	i, _ := s.incidents.Of(id)
	return epitaph{i.Status, i.Lines}
}
