//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// ended is what became of a command.
type ended struct {
	stdout, stderr string
	status         int
}

// begins runs a command elsewhere.
func (p person) begins(args ...string) chan ended {
	over := make(chan ended, 1)
	go func() {
		stdout, stderr, status := p.does(args...)
		over <- ended{stdout, stderr, status}
	}()
	return over
}

// ready are the workers that are ready, by slot, and how many there are besides
// that were not told to finish.
func ready(st control.Status) (bySlot map[int]int, others int) {
	bySlot = map[int]int{}
	for _, w := range st.Workers {
		switch {
		case w.State == "ready" && bySlot[w.Slot] == 0:
			bySlot[w.Slot] = w.ID
		case w.State == "ready" || w.State == "starting":
			others++
		}
	}
	return bySlot, others
}

// Who waits for a number of workers, or for replacements, has them when the
// command is over.
func TestCommandsWait(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	up(t, line)
	p := person{t: t}
	as := func(words ...string) []string { return append(words, "--wait", "--control", path) }
	expect := func(slots int, newer int) {
		t.Helper()
		st, _ := asked(t, path, false)
		bySlot, others := ready(st)
		for _, id := range bySlot {
			if id <= newer {
				others++
			}
		}
		if len(bySlot) != slots || others > 0 {
			t.Errorf("of %d slots %d are filled, and %d workers are none of theirs: %+v", slots, len(bySlot), others, st.Workers)
		}
	}
	p.expects(0, "workers: 5, before 2\n", "", as("scale", "+3")...)
	expect(5, 0)
	p.expects(0, "workers: 2, before 5\n", "", as("scale", "2")...)
	expect(2, 0)
	p.expects(0, "workers: 2, before 2\n", "", as("scale", "2")...)
	p.expects(0, "replaced: 1 2\n", "", as("recycle", "1", "2")...)
	expect(2, 5)
	st, _ := asked(t, path, false)
	newest := slices.MaxFunc(st.Workers, func(a, b control.Worker) int { return a.ID - b.ID }).ID
	p.expects(0, "replaced: .*\n", "", as("recycle", "all")...)
	expect(2, newest)
}

// What does not come is not waited for: with a status of 1 the reason is there.
func TestCommandsWaitInVain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	curse, gate := filepath.Join(dir, "curse"), filepath.Join(dir, "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	line, path := controlled(t)
	m := up(t, line, command(as("serve", curse, gate)...))
	p := person{t: t}
	as := func(words ...string) []string { return append(words, "--wait", "--control", path) }
	cursed := func(slot int) {
		if err := os.WriteFile(curse, fmt.Append(nil, slot), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	why := func(slot int) string {
		return fmt.Sprintf("worker \\d+: exit status 1; its last lines:\n  slot %d is cursed\ngosuper: hint: the master goes on trying, .*\n", slot)
	}
	cursed(1)
	p.expects(1, "", "gosuper: error: worker 2 is not replaced, as its replacement does not boot: "+why(1), as("recycle", "2")...)
	if st, _ := asked(t, path, false); len(st.Failing) != 1 || st.Failing[0].Slot != 1 || st.Failing[0].Boots < 3 {
		t.Errorf("status says %+v", st.Failing)
	}
	os.Remove(curse)
	m.await(t, "the replacement", func() bool { st, _ := asked(t, path, false); return len(st.Failing) == 0 })
	cursed(2)
	p.expects(1, "", "gosuper: error: only 2 of 3 workers are ready, as one does not boot: "+why(2), as("scale", "+1")...)
	os.Remove(curse)
	p.expects(0, "workers: 3, before 3\n", "", as("scale", "3")...) // what was mended is no reason to give up

	os.Remove(gate)
	from := m.mark()
	over := p.begins(as("scale", "5")...)
	m.count(t, 2, from, "worker started", nil)
	p.expects(0, "workers: 4, before 5\n", "", "scale", "4", "--control", path)
	if got := <-over; got.status != 1 || got.stderr != "gosuper: error: the number of workers was changed to 4 meanwhile\n" {
		t.Errorf("who waits for what is not wanted any more gets %+v", got)
	}
	from = m.mark()
	over = p.begins(as("recycle", "all")...)
	m.wait(t, from, "asked", match{"for": "recycle"})
	m.signal(syscall.SIGTERM)
	if got := <-over; got.status != 1 {
		t.Errorf("who waits while the master is stopped gets %+v", got)
	}
}

// A worker that is gone before anybody looks is not replaced for that.
func TestCommandsWaitWithoutSurge(t *testing.T) {
	t.Parallel()
	curse := filepath.Join(t.TempDir(), "curse")
	line, path := controlled(t)
	up(t, line, "surge = 0", `ready = "1s"`, command("sh", "-c", "[ ! -e "+curse+" ] || exit 3; exec sleep 1000"))
	if err := os.WriteFile(curse, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const why = "gosuper: error: worker 1 is not replaced, as its replacement does not boot: worker \\d+: exit status 3; it wrote nothing\ngosuper: hint: .*\n"
	person{t: t}.expects(1, "", why, "recycle", "1", "--wait", "--control", path)
}

// Who waits goes on while the master becomes its next version.
func TestCommandsWaitOverAnUpgrade(t *testing.T) {
	t.Parallel()
	other, err := next()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	line, path := controlled(t)
	m, binary := upgradable(t, line, command(as("serve", filepath.Join(dir, "curse"), gate)...))
	p := person{t: t}
	for _, words := range [][]string{{"recycle", "all"}, {"scale", "+1"}} {
		os.Remove(gate)
		from := m.mark()
		over := p.begins(append(words, "--wait", "--control", path)...)
		m.wait(t, from, "worker started", nil)
		install(t, other, binary)
		m.signal(syscall.SIGUSR2)
		m.wait(t, from, "upgraded", nil)
		select {
		case got := <-over:
			t.Fatalf("%q ended with %+v", words, got)
		default:
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := <-over; got.status != 0 {
			t.Errorf("%q ended with %+v", words, got)
		}
	}
	if bySlot, others := ready(func() control.Status { st, _ := asked(t, path, false); return st }()); len(bySlot) != 3 || others > 0 {
		t.Errorf("ready are %v, and %d others", bySlot, others)
	}
}

// A worker that never says READY=1 is told what is expected of it, where that is
// expected.
func TestNoReady(t *testing.T) {
	t.Parallel()
	m := start(t, launch{config: config(command(as("hang")...), "workers = 1", `ready = "notify"`, `startup_timeout = "1s"`, "[restart]", "startup_attempts = 1")})
	m.contains(t, "gosuper: error: the first workers could not boot: worker 1: no READY=1 within startup_timeout (")
	m.contains(t, "gosuper: hint: a worker says READY=1 to NOTIFY_SOCKET (sd_notify(3)) when it can serve; ")
	if status := m.end(); status != 3 {
		t.Errorf("exit status %d", status)
	}
}
