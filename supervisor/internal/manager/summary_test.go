//go:build linux

package manager

import "testing"

func TestSummary(t *testing.T) {
	for _, test := range []struct {
		is   Summary
		want string
	}{
		{Summary{Phase: Starting, Target: 2, Generation: 1}, "starting: 0 of 2 workers ready, generation 1"},
		{Summary{Phase: Starting, Target: 2, Generation: 1, Trouble: "crash loop"}, "crash loop: 0 of 2 workers ready, generation 1"},
		{Summary{Phase: Starting, Target: 2, Generation: 1, Wait: "the application is being loaded"}, "starting: 0 of 2 workers ready, generation 1; the application is being loaded"},
		{Summary{Phase: Running, Target: 1, Ready: 1, Generation: 3}, "1 worker ready, generation 3"},
		{Summary{Phase: Running, Target: 2, Ready: 1, Generation: 3, Trouble: "degraded", Reload: "refused: no"}, "degraded: 1 of 2 workers ready, generation 3; reload refused: no"},
		{Summary{Phase: Reloading, Target: 2, Ready: 2, Generation: 3, Reload: "refused: no"}, "reloading: 2 workers ready, generation 3"},
		{Summary{Phase: Stopping, Target: 2, Alive: 1}, "stopping: 1 worker left"},
		{Summary{Phase: Stopping, Target: 2, GaveUp: "worker 1 could not boot: exit status 1"}, "gave up: worker 1 could not boot: exit status 1"},
	} {
		if got := test.is.String(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.is, got, test.want)
		}
	}
}
