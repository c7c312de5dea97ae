//go:build linux

package loader

import (
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// One that has closed its end may need its time to exit: it does not hang before that is
// over, and what it is asked for meanwhile waits for its end.
func TestTakesItsTimeToExit(t *testing.T) {
	b := newBench(t)
	b.hangUp()
	if err := b.Heard(b.hear(), believeAll); err != nil {
		t.Error(err)
	}
	b.ask(1)
	if heard := time.Now(); b.Overdue(heard.Add(protocol.UnloadGrace-time.Second)) || !b.Busy() || b.late {
		t.Errorf("it hangs, busy %v, answers %v", b.Busy(), b.answers)
	}
	if b.Overdue(b.Due()) || !b.Overdue(b.Due()) {
		t.Error("it does not hang")
	}
	b.Reaped()
	b.expect("answers", b.answers, []string{"1 0 " + ErrGone.Error()})
}
