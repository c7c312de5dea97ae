//go:build unix

package exchange

import (
	"testing"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// What the application answers counts, unless it is about its health.
func TestJudge(t *testing.T) {
	said := 0
	board := scoreboard.Unshared()
	s := New(Terms{Board: board, Failures: 2, Failing: func() { said++ }})
	for i, one := range []struct {
		status int
		path   string
		said   int // so often by then
	}{
		{500, "/", 0},
		{200, "/healthz", 0},
		{500, "/ready", 0},
		{503, "/agent", 1},
		{500, "/agent", 1},
		{404, "/agent", 1},
		{500, "/agent", 1},
		{500, "", 2},
	} {
		if s.judge(1, 2, one.status, one.path); said != one.said {
			t.Errorf("%d: after %d %s it was said %d times, want %d", i, one.status, one.path, said, one.said)
		}
	}
}
