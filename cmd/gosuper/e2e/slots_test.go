//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// slotted starts a master whose slots have addresses of their own in a folder, which it
// returns.
func slotted(t *testing.T, lines ...string) (m *master, dir string) {
	t.Helper()
	dir = t.TempDir()
	m, _ = upgradable(t, append(lines, fmt.Sprintf("bind_slot = [%q]", "unix:"+filepath.Join(dir, "{slot}.sock")))...)
	return m, dir
}

// loadSlots begins load at the addresses of the slots.
func (m *master) loadSlots(dir string, slots int, plan load.Plan) (all []*running) {
	m.t.Helper()
	for slot := range slots {
		plan.Network, plan.Addr = "unix", filepath.Join(dir, fmt.Sprint(slot, ".sock"))
		all = append(all, m.load(plan))
	}
	return all
}

// endSlots ends the load of slots: nothing was lost, and all answers of a slot are of workers that were in it.
func (m *master) endSlots(all []*running, least int) {
	m.t.Helper()
	for slot, r := range all {
		result := r.end()
		none(m.t, fmt.Sprint("slot ", slot), result, least)
		for _, pid := range result.Pids() {
			if m.event("worker started", match{"pid": pid}) == nil || m.event("worker started", match{"pid": pid}).num("slot") != slot {
				m.t.Errorf("slot %d was answered by %d, who was not in it", slot, pid)
			}
		}
	}
}

// event is the first of the kind so far; nil: there was none.
func (m *master) event(msg string, fields match) *event {
	if all := m.all(0, msg, fields); len(all) > 0 {
		return &all[0]
	}
	return nil
}

// What comes to the address of a slot is answered by the workers of that slot, one after
// the other: a replacement serves on from the same queue, and nothing is lost while
// workers are recycled and reloaded, and the master upgraded.
func TestSlotsAreServedOn(t *testing.T) {
	for _, plan := range []load.Plan{
		{Connections: 4, Mode: load.NewConnection, Pause: time.Millisecond},
		{Connections: 4, Mode: load.KeepAlive, Method: http.MethodPost, Body: `{"prompt":"hello"}`, Pause: time.Millisecond},
	} {
		for _, surge := range []int{1, 0} {
			t.Run(fmt.Sprintf("%v, surge %d", plan.Mode, surge), func(t *testing.T) {
				most := tenth(2000)
				m, dir := slotted(t, fmt.Sprintf("surge = %d", surge), fmt.Sprintf("max_requests = %d", most))
				all := m.loadSlots(dir, 2, plan)
				m.count(t, 4, 0, "worker gone", match{"reason": "max_requests"})
				for range 3 {
					from := m.mark()
					m.signal(syscall.SIGUSR2) // while others are recycled, as it may be
					m.wait(t, from, "upgraded", nil)
					m.reload()
					for _, r := range all {
						r.more(20)
					}
				}
				m.endSlots(all, most)
			})
		}
	}
}

// Where slots have addresses of their own the next worker of one is alone there as soon as it
// is ready, though streams of the one before it last.
func TestSlotsAreServedByOne(t *testing.T) {
	t.Parallel()
	m, _ := slotted(t, "workers = 1")
	stream := m.fly("/stream?d=100ms")
	stream.tokens(t, 15)
	from := m.mark()
	if _, _, err := m.get("/recycle?why=tired"); err != nil {
		t.Fatal(err)
	}
	ready := m.wait(t, from, "worker ready", nil)
	drains := m.wait(t, from, "worker draining", match{"pid": stream.pid(), "reason": "tired"})
	if took := drains.at.Sub(ready.at); took > late {
		t.Errorf("it was told to drain %v after its replacement was ready", took)
	}
	if stream.tokens(t, 1000) {
		t.Error("the stream was never told to end")
	}
}

// Whoever comes to the address of a slot whose worker was killed waits in its queue for
// the next one.
func TestSlotsOutliveTheirWorkers(t *testing.T) {
	m, dir := slotted(t)
	for range 5 {
		from := m.mark()
		old := m.workers()[1]
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		plan := load.Plan{Connections: 4, Mode: load.NewConnection, Network: "unix", Addr: filepath.Join(dir, "1.sock"), Count: 40}
		r := m.load(plan)
		m.wait(t, from, "worker ready", match{"slot": 1})
		result := <-r.result
		if none(t, "after the kill", result, 40); slices.Contains(result.Pids(), old) {
			t.Errorf("worker process %d answered after its end", old)
		}
	}
}

// A slot that is scaled away has no address any more, so that a proxy goes elsewhere at
// once; what was accepted is answered. One that comes again, or was never there, has.
func TestSlotsAreScaled(t *testing.T) {
	m, dir := slotted(t)
	path := filepath.Join(dir, "2.sock")
	for range 3 {
		from := m.mark()
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			t.Fatal("somebody listens for a slot that is not there")
		}
		m.signal(syscall.SIGTTIN)
		pid := m.wait(t, from, "worker ready", match{"slot": 2}).num("pid")
		r := m.load(load.Plan{Connections: 4, Mode: load.NewConnection, Network: "unix", Addr: path, Pause: time.Millisecond})
		r.more(20)
		m.upgrade()
		r.more(20)
		m.signal(syscall.SIGTTOU)
		m.wait(t, from, "worker gone", match{"pid": pid, "reason": "scale"})
		result := r.end()
		for kind, n := range result.Lost {
			if n > 0 && kind != load.Dial {
				t.Errorf("%d requests were lost: %v", n, kind)
			}
		}
		eventually(t, "nobody listens", func() bool { return !listens(path) })
	}
	m.reload()
}

// Addresses that change with a reload are served by those who come, and the old ones by
// those who go, until their queues are empty; with the reload that takes them away none
// is left.
func TestSlotAddressesChange(t *testing.T) {
	m, dir := slotted(t)
	text := read(t, m.file)
	r := m.load(load.Plan{Connections: 4, Mode: load.NewConnection, Pause: time.Millisecond})
	old := filepath.Join(dir, "{slot}.sock")
	for _, name := range []string{"new-{slot}", "{slot}"} {
		next := filepath.Join(dir, name+".s")
		m.rewrite(strings.Replace(text, old, next, 1))
		m.reload()
		m.endSlots(m.loadFew(strings.ReplaceAll(next, "{slot}", "%d")), 20)
		for slot := range 2 {
			before := strings.ReplaceAll(filepath.Join(dir, "{slot}.sock"), "{slot}", fmt.Sprint(slot))
			eventually(t, "the old address is closed", func() bool { return !listens(before) })
		}
	}
	m.rewrite(strings.Replace(text, "bind_slot", "#", 1))
	m.reload()
	none(t, "the shared address", r.end(), 20)
	eventually(t, "the folder is empty", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		return err == nil && len(left) == 0
	})
}

// loadFew has a few requests of each of two slots answered, whose addresses the format is.
func (m *master) loadFew(format string) (all []*running) {
	for slot := range 2 {
		all = append(all, m.load(load.Plan{Connections: 2, Mode: load.NewConnection, Network: "unix", Addr: fmt.Sprintf(format, slot)}))
		all[slot].more(20)
	}
	return all
}

// An address that somebody else has is told of at the start, and at a reload that goes
// back then; a slot that comes later is tried again.
func TestSlotAddressIsTaken(t *testing.T) {
	m, dir := slotted(t)
	other, err := net.Listen("unix", filepath.Join(dir, "2.sock"))
	if err != nil {
		t.Fatal(err)
	}
	from := m.mark()
	m.rewrite(strings.Replace(read(t, m.file), "workers = 2", "workers = 3", 1))
	m.signal(syscall.SIGHUP)
	if e := m.wait(t, from, "reload refused, nothing was changed", nil); !strings.Contains(e.str("error"), "2.sock") {
		t.Errorf("it says %q", e.str("error"))
	}
	m.signal(syscall.SIGTTIN)
	if e := m.wait(t, from, "cannot start worker", match{"slot": 2}); !strings.Contains(e.str("error"), "2.sock") {
		t.Errorf("it says %q", e.str("error"))
	}
	other.Close()
	m.wait(t, from, "worker ready", match{"slot": 2})
	if !listens(filepath.Join(dir, "2.sock")) {
		t.Error("the slot has no address")
	}
}
