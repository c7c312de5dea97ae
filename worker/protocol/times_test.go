package protocol_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// TestTimes holds what one side relies on when the other keeps to its time.
func TestTimes(t *testing.T) {
	for _, order := range []struct {
		why         string
		less, least time.Duration
	}{
		{"a worker ends a request itself, however late its alarm, before it is stuck for that", protocol.Lateness, protocol.OverdueGrace},
		{"a worker has cut what is left when the master asks what was lost", 2 * protocol.DrainMargin, protocol.CutMargin},
		{"a drain is not over before it begins, when there is no more than the grace of one who is stuck", 2 * protocol.CutMargin, protocol.OverdueGrace},
		{"a socket that is given up is accepted empty by workers whose master is gone", protocol.QuietQueue + protocol.DrainMargin, protocol.OrphanGrace},
		{"a worker that has nobody to bound its drain ends its connections well before that is over", 4 * protocol.TurnSpan, protocol.UnboundedDrain},
		{"an orphan is gone before a master would have killed it", protocol.OrphanGrace, protocol.AbortGrace},
		{"a drain that nobody bounds is longer than one that the master is not there to bound", protocol.OrphanGrace, protocol.UnboundedDrain},
		{"a loader that makes one worker after the other is not taken for hung by a machine that is merely late", 5 * protocol.OverdueGrace, protocol.SpawnTimeout},
		{"a loader that nobody needs is gone before one that hangs would be found out", protocol.UnloadGrace, protocol.SpawnTimeout},
	} {
		if order.less > order.least {
			t.Errorf("%v is more than %v: %s", order.less, order.least, order.why)
		}
	}
}

// TestTimesAreNormative has the text for other languages say each of the times that
// master and worker have in common, by its name.
func TestTimesAreNormative(t *testing.T) {
	times, err := os.ReadFile("times.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for line := range strings.Lines(string(times)) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && strings.HasPrefix(line, "\t") {
			names++
			if !strings.Contains(string(text), name) {
				t.Errorf("the package comment does not say what %s is for", name)
			}
		}
	}
	if names != 15 {
		t.Errorf("found %d times", names)
	}
}
