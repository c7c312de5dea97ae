//go:build linux

package postmortem

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// boots compares what workers wrote that did not become ready, before anything ever was:
// what one has said already is not said again. It belongs to the goroutine of the log.
type boots struct {
	last boot
	text []byte // that it wrote, as it was seen; nil: there was none
}

// boot is that of one worker, which has ended.
type boot struct {
	worker, pid int
	wrote       *process.Held
	failed      bool // and may have written what another has
}

// release has all that the worker wrote be seen, but for what another has written; then it
// returns what is said instead. It waits for that as [process.Held.ReleaseExcept] does.
func (b *boots) release(one boot, atMost time.Duration) (instead []zap.Field, passed bool) {
	if !one.failed {
		return nil, one.wrote.Release(atMost)
	}
	lines, passed := one.wrote.ReleaseExcept(b.as(one.pid), atMost)
	if lines == 0 {
		b.last, b.text = one, one.wrote.Seen()
		return nil, passed
	}
	count := "line"
	if lines > 1 {
		count = fmt.Sprintf("%d lines", lines)
	}
	return []zap.Field{zap.String("wrote", fmt.Sprintf("the same %s as worker %d", count, b.last.worker))}, passed
}

// as is the text as the process of this pid would have written it.
func (b *boots) as(pid int) []byte {
	number := regexp.MustCompile(`\b` + strconv.Itoa(b.last.pid) + `\b`)
	return number.ReplaceAll(b.text, []byte(strconv.Itoa(pid)))
}
