//go:build linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What [limits] says holds for the worker, and for its replacement after a
// reload that changed it; the master keeps what it had.
func TestWorkerLimits(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const limits = "[limits]\nnofile = 500\ncore = 0\nas = \"1000TiB\"\nnice = 3\noom_score_adj = 700\nno_new_privs = true"
	m := up(t, "workers = 1", `chdir = "/usr"`, `user = "65534"`, limits)
	expect := func(pid int, want map[string]string) {
		t.Helper()
		status, rlimits := status(pid), rlimits(t, pid)
		for name, value := range want {
			got, ok := rlimits[name]
			if !ok {
				got = status[name]
			}
			if got != value {
				t.Errorf("%s is %q, want %q", name, got, value)
			}
		}
	}
	const none = "0000000000000000"
	want := map[string]string{
		"Max open files": "500 500", "Max core file size": "0 0", "Max address space": "1099511627776000 1099511627776000",
		"NoNewPrivs": "1", "CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
		"nice": "3", "oom_score_adj": "700",
	}
	expect(m.workers()[0], want)
	before := rlimits(t, m.pid())
	for name, value := range before {
		if value == want[name] && name != "Max core file size" {
			t.Errorf("the master has %s of %s as well", name, value)
		}
	}
	m.rewrite(config("workers = 1", `chdir = "/usr"`, "[limits]\nnofile = 400"))
	m.reload()
	expect(m.workers()[0], map[string]string{
		"Max open files": "400 400", "Max core file size": before["Max core file size"], "Max address space": before["Max address space"],
		"NoNewPrivs": "0", "nice": before["nice"], "oom_score_adj": before["oom_score_adj"], "CapBnd": status(m.pid())["CapBnd"],
	})
	// One that cannot be given is refused before anything happens.
	setpriv := need(t, "setpriv")
	refused := start(t, launch{
		before: []string{"sh", "-c", `cd / && exec "$@"`, "sh", setpriv, "--reuid", "65534", "--clear-groups"},
		args:   []string{self}, env: []string{"GOSUPER_LIMITS_NICE=-7"},
	})
	if code := refused.end(); code != 2 || !strings.Contains(refused.String(), "limits.nice: -7 is below the "+before["nice"]+" of the master") {
		t.Errorf("exit status %d: %s", code, refused)
	}
}

// rlimits are the resource limits of a process, soft and hard, and its nice value
// and oom_score_adj.
func rlimits(t *testing.T, pid int) map[string]string {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	all := map[string]string{"oom_score_adj": read("oom_score_adj")}
	for line := range strings.Lines(read("limits")) {
		if len(line) > 26 {
			if values := strings.Fields(line[26:]); len(values) >= 2 {
				all[strings.TrimSpace(line[:26])] = values[0] + " " + values[1]
			}
		}
	}
	stat := read("stat")
	// After the name, which may contain anything, the state is the third field.
	all["nice"] = strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])[19-3]
	return all
}
