//go:build linux

package upgrade

import "testing"

// Whoever is in one phase gets through all others, and out.
func TestPhases(t *testing.T) {
	seen := map[Phase]bool{}
	for p := None; !seen[p]; p = p.Next() {
		seen[p] = true
		if p.String() == "" {
			t.Errorf("phase %d has no name", p)
		}
	}
	if len(seen) != len(phases) {
		t.Errorf("of %d phases only %v are ever reached", len(phases), seen)
	}
	if None.AfterExec() {
		t.Error("without an upgrade something is waited for")
	}
}
