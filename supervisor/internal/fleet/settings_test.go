package fleet

import (
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// TestTimes holds the brain's times to those that it shares with the workers.
func TestTimes(t *testing.T) {
	for name, grace := range map[string]time.Duration{"StuckGrace": StuckGrace, "QuickGrace": QuickGrace} {
		if grace < 2*protocol.DrainMargin {
			t.Errorf("with a %s of %v a worker cuts what it has almost at once, %v before its end", name, grace, protocol.DrainMargin)
		}
	}
	if KillGrace <= AbortGrace {
		t.Errorf("a stop is given up after %v, and stacks may take %v", KillGrace, AbortGrace)
	}
}

// baseSettings are those of a transcript that names no others.
func baseSettings() Settings {
	return Settings{
		Command: "app", Workers: 2, Surge: Surge{Count: 1}, Ready: ReadyNotify, ReadyAfter: time.Second,
		GracefulTimeout: 30 * time.Second, DrainTimeout: 2 * time.Minute, StartupTimeout: time.Minute,
		BackoffMin: 100 * time.Millisecond, BackoffMax: 30 * time.Second, ResetAfter: 10 * time.Second, StartupAttempts: 3,
	}
}
