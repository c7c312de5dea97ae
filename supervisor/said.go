//go:build linux

package supervisor

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// heldFor is how much later than it was written what a worker writes to stderr is seen
// before anything was ever ready: if the worker ends meanwhile, with what another
// has said already, it is not said again. What the first of one worker writes is
// seen at once.
const heldFor = time.Second

// said is what a worker wrote that did not become ready, as it was seen.
type said struct {
	id, pid int
	text    []byte
}

// as is the text as the process of another pid would have written it.
func (s *said) as(pid int) []byte {
	number := regexp.MustCompile(`\b` + strconv.Itoa(s.pid) + `\b`)
	return number.ReplaceAll(s.text, []byte(strconv.Itoa(pid)))
}

// unfold has all that a dead worker wrote be seen, unless it did not become ready
// and wrote what another such has written; then that is said in the line about its
// end.
func (s *Supervisor) unfold(w *worker, known fleet.Worker) (fields []zap.Field) {
	if w.tail == nil {
		return nil
	}
	s.letSettle(w.tail)
	first := known.ReadyAt.IsZero() && !s.fleet.EverReady()
	var other []byte
	if first && s.said != nil {
		other = s.said.as(w.pid)
	}
	lines := 0
	s.waitFor(func(atMost time.Duration) (passed bool) {
		lines, passed = w.held.ReleaseExcept(other, atMost)
		return passed
	})
	switch {
	case lines > 0:
		count := "line"
		if lines > 1 {
			count = fmt.Sprintf("%d lines", lines)
		}
		return []zap.Field{zap.String("wrote", fmt.Sprintf("the same %s as worker %d", count, s.said.id))}
	case first:
		s.said = &said{w.ID, w.pid, w.held.Seen()}
	}
	return nil
}
