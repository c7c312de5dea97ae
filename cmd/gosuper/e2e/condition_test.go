//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// TestCrashLoopIsSaid: a fleet that is gone is not called running, and what its
// workers said last stands where one looks.
func TestCrashLoopIsSaid(t *testing.T) {
	t.Parallel()
	curse := filepath.Join(t.TempDir(), "curse")
	line, path := controlled(t)
	m := up(t, line, "workers = 1", command(as("serve", curse)...), admin("127.0.0.1:0"), "[restart]", `backoff_min = "30s"`)
	p := person{t: t}
	p.expects(0, "ready, 1 of 1 workers ready\n", "", "health", "--control", path)

	if err := os.WriteFile(curse, []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}
	from := m.mark()
	syscall.Kill(m.workers()[0], syscall.SIGKILL)
	m.wait(t, from, "worker boot failed", nil)
	st, _ := asked(t, path, false)
	if st.State != control.Running || st.Condition != control.FleetCrashLoop || st.ReadyWorkers != 0 || st.CrashLoop == nil {
		t.Fatalf("the fleet is %s, %d ready, %+v", st.Condition, st.ReadyWorkers, st.CrashLoop)
	}
	if c := st.CrashLoop; len(c.Slots) != 1 || c.Crashes != 2 || c.NextSeconds < 1 || len(c.LastLines) == 0 {
		t.Errorf("the crash loop is %+v", c)
	}
	p.expects(0, "crash loop, 0 of 1 workers ready\n", "", "health", "--control", path)
	out, _, _ := p.does("status", "--control", path)
	for _, want := range []string{
		"  crash loop  0 of 1 workers ready  ", "\nslot 0 is in a crash loop: 2 crashes in a row, the next start in ",
		"; its last lines:\n  " + st.CrashLoop.LastLines[0] + "\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
	}
	var feed struct{ Incidents []control.Incident }
	if _, text := fetch(t, m.adminAddr(), "/feed"); json.Unmarshal([]byte(text), &feed) != nil || len(feed.Incidents) != 2 {
		t.Fatalf("the page is told %s", text)
	}
	for i, want := range []string{"startup", "crash"} {
		one := feed.Incidents[i]
		if at, err := time.Parse(time.RFC3339Nano, one.At); one.Reason != want || one.Worker == 0 || err != nil || time.Since(at) > testTimeout {
			t.Errorf("incident %d is %+v, want a %s", i, one, want)
		}
	}

	// What is mended is called so when it has lasted.
	if err := os.Remove(curse); err != nil {
		t.Fatal(err)
	}
	m.reload()
	p.expects(0, "ready, 1 of 1 workers ready\n", "", "health", "--control", path)
}
