//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
	"github.com/gosuper/gosuper/supervisor/control"
)

// memoryLimit gives a cgroup another memory limit, in bytes.
func memoryLimit(t *testing.T, dir string, bytes uint64) {
	t.Helper()
	for _, file := range []string{"memory.limit_in_bytes", "memory.max"} {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := os.WriteFile(path, []byte(strconv.FormatUint(bytes, 10)), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// most is how many workers lived at a time since the mark, of those that did then too.
func (m *master) most(from, alive int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	most := alive
	for _, e := range m.events[from:] {
		switch e.msg {
		case "worker started":
			alive++
		case "worker gone":
			alive--
		}
		most = max(most, alive)
	}
	return most
}

// Where a worker and its replacement do not fit into the memory limit together the worker
// goes first, and nobody is refused; where they do, it goes last. The limit, and what workers
// take, may change while they run.
func TestOverlapFollowsTheLimit(t *testing.T) {
	dir := memoryCgroup(t, "400M")
	line, path := controlled(t)
	lines := []string{line, "workers = 2", `worker_memory = "400MiB"`}
	m := start(t, launch{before: inCgroup(dir), config: config(lines...)})
	m.wait(t, 0, "ready", nil)
	reduced := func(from int) int {
		n := 0
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, e := range m.events[from:] {
			if strings.HasPrefix(e.msg, "overlap reduced: ") {
				n++
			}
		}
		return n
	}
	status := func() *control.Overlap {
		st, _ := asked(t, path, false)
		return st.Overlap
	}
	r := m.load(load.Plan{Connections: 4, Pause: 5 * time.Millisecond})

	from := m.mark()
	m.reload()
	m.reload()
	if most, said, o := m.most(from, 2), reduced(from), status(); most > 2 || said != 1 || o == nil || o.ProcessBytes != 400<<20 || o.LimitBytes != 400<<20 {
		t.Errorf("without room %d workers lived at a time; it was said %d times, and the status has %+v", most, said, o)
	}

	memoryLimit(t, dir, 2<<30)
	from = m.mark()
	m.reload()
	if most, said, o := m.most(from, 2), reduced(from), status(); most < 3 || said != 0 || o != nil {
		t.Errorf("with room %d workers lived at a time; it was said %d times, and the status has %+v", most, said, o)
	}

	// What they take is measured where it is not said.
	m.rewrite(config(lines[:2]...))
	m.reload()
	for _, pid := range m.workers() {
		eventually(t, fmt.Sprintf("%d to leak", pid), func() bool {
			answer, _, err := m.get(fmt.Sprintf("/leak?mb=120&only=%d", pid))
			return err == nil && answer.StatusCode == http.StatusOK
		})
	}
	eventually(t, "it to be seen", func() bool {
		st, _ := asked(t, path, false)
		return st.MemoryBytes != nil && *st.MemoryBytes > 240<<20
	})
	st, _ := asked(t, path, false)
	memoryLimit(t, dir, *st.MemoryBytes+80<<20)
	from = m.mark()
	m.reload()
	if said, draining, started := reduced(from), m.wait(t, from, "worker draining", nil), m.wait(t, from, "worker started", nil); said != 1 || started.at.Before(draining.at) {
		t.Errorf("measured without room: it was said %d times, and the replacement started %v before the worker was told to go", said, draining.at.Sub(started.at))
	}
	none(t, "without room", r.end(), 100)
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// Where memory has no room for a loader beside the one in force a reload changes nothing, and
// says so; where it has, it goes on.
func TestLoaderNeedsMemory(t *testing.T) {
	dir := memoryCgroup(t, "400M")
	p := &preloaded{mischief: filepath.Join(t.TempDir(), "mischief")}
	p.do(t, "heavy")
	p.master = start(t, launch{before: inCgroup(dir), config: config(
		command("/usr/bin/python3", loaderScript(t, "loader.py"), p.mischief), "preload = true", `ready = "notify"`)})
	p.wait(t, 0, "ready", nil)
	loader, before := p.wait(t, 0, "loader ready", nil).num("pid"), p.workers()
	memoryLimit(t, dir, 200<<20)
	from := p.mark()
	p.signal(syscall.SIGHUP)
	e := p.wait(t, from, "reload rolled back", nil)
	if why := "memory has no room to load the application a second time: "; !strings.HasPrefix(e.str("status"), why) || !maps.Equal(p.workers(), before) || p.forkedFacts().Loader != loader {
		t.Errorf("without room it says %q, and %v became %v", e.str("status"), before, p.workers())
	}
	memoryLimit(t, dir, 400<<20)
	if p.reload(); p.forkedFacts().Loader == loader {
		t.Error("with room there is the loader of before")
	}
	p.signal(syscall.SIGTERM)
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
