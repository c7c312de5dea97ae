//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// What a master has seen outlives its upgrade: the incidents in their files, of which the
// next image goes on with no more than there may be, and the picture of the last hour.
func TestUpgradeKeepsWhatWasSeen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "incidents")
	line, path := controlled(t)
	m, _ := upgradable(t, line, fmt.Sprintf("incidents = { dir = %q, keep = 3 }", dir), "restart = { reset_after = \"1ms\" }")
	kill := func() (file string) {
		t.Helper()
		from, pid := m.mark(), m.workers()[0]
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		id := m.wait(t, from, "worker crashed", match{"pid": pid}).num("worker")
		eventually(t, "the incident is in a file", func() bool {
			found, _ := filepath.Glob(filepath.Join(dir, fmt.Sprintf("*-worker-%d.json", id)))
			if len(found) == 1 {
				file = found[0]
			}
			return len(found) == 1
		})
		var one control.Incident
		if err := json.Unmarshal([]byte(read(t, file)), &one); err != nil || one.Worker != id || one.Status != "killed by SIGKILL" {
			t.Errorf("%s: %+v, %v", file, one, err)
		}
		m.wait(t, from, "worker ready", match{"slot": 0})
		return file
	}
	var files []string
	for range 2 {
		files = append(files, kill())
	}
	for range 5 {
		m.fly("/sleep?d=5s")
	}
	eventually(t, "the requests are seen", func() bool {
		asked(t, path, true) // which looks at the boards
		return most(historyOf(t, path)) == 5
	})
	eventually(t, "the requests are over", func() bool { st, _ := asked(t, path, true); return len(st.Requests) == 0 })
	var before control.History
	eventually(t, "how long they took is seen, and the memory of the fleet", func() bool {
		asked(t, path, true)
		before = historyOf(t, path)
		return slices.ContainsFunc(before.Points, func(p control.Point) bool { return p.P99Seconds != nil && *p.P99Seconds > 4 && p.MemoryBytes != nil })
	})
	m.upgrade()
	sameHistory(t, before, historyOf(t, path))
	for range 2 {
		files = append(files, kill())
	}
	left, err := os.ReadDir(dir)
	var names []string
	for _, one := range left {
		names = append(names, filepath.Join(dir, one.Name()))
	}
	if err != nil || !slices.Equal(names, files[1:]) {
		t.Errorf("of %s there are %s, %v", strings.Join(files, " "), strings.Join(names, " "), err)
	}
	if seen := incidentsOf(t, path); len(seen) != 4 {
		t.Errorf("there are %d incidents, want 4", len(seen))
	}
	if h := historyOf(t, path); most(h) != 5 {
		t.Errorf("five requests that were in flight at a time are seen as %s", asJSON(t, h))
	}
}

// historyOf asks a master for the picture of the last hour.
func historyOf(t *testing.T, path string) control.History {
	t.Helper()
	h, err := control.NewClient(path).History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// sameHistory expects a later picture to have what an earlier one has, of a fleet that had
// nothing to do in between. Of the last point memory may have become more.
func sameHistory(t *testing.T, before, after control.History) {
	t.Helper()
	if len(after.Points) < len(before.Points) {
		t.Fatalf("of %d points there are %d", len(before.Points), len(after.Points))
	}
	for i, was := range before.Points {
		is := after.Points[i]
		if i == len(before.Points)-1 && was.MemoryBytes != nil && is.MemoryBytes != nil && *is.MemoryBytes > *was.MemoryBytes {
			is.MemoryBytes = was.MemoryBytes
		}
		is.AgoSeconds, is.RequestsPerSecond = was.AgoSeconds, was.RequestsPerSecond // which go on
		if !reflect.DeepEqual(was, is) {
			t.Errorf("%s is %s after the upgrade", asJSON(t, was), asJSON(t, is))
		}
	}
}

// most is how many requests were in flight at most in a picture.
func most(h control.History) (n uint64) {
	for _, p := range h.Points {
		if p.InFlight != nil {
			n = max(n, *p.InFlight)
		}
	}
	return n
}
