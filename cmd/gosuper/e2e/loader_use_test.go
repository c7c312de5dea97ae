//go:build linux

package e2e

import "testing"

// READY=1 of a loader is a promise, which a worker that is ready keeps. So no more loaders
// are tried at the first start than may fail, whichever of them were ready.
func TestLoaderOfNoUse(t *testing.T) {
	t.Parallel()
	for _, how := range []string{
		"third", // two that are not, and one that is and makes no worker
		"exit",
	} {
		p := preload(t, how, "[restart]", `backoff_min = "1ms"`, `backoff_max = "1ms"`)
		if code := p.end(); code != 3 {
			t.Errorf("%s: exit status %d, want 3", how, code)
		}
		if started := p.count(t, 3, 0, "loader started", nil); len(started) != 3 {
			t.Errorf("%s: %d loaders were tried, want 3", how, len(started))
		}
		p.contains(t, "gosuper: error: the application could not be loaded: loader: exit status 7")
	}
}
