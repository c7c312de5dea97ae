//go:build linux

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/internal/process/shim"
)

func TestStartWithLimits(t *testing.T) {
	spec := sh(`read -r line < /proc/$$/oom_score_adj; echo "oom $line"
		while read -r line; do case $line in NoNewPrivs*) echo $line;; esac; done < /proc/$$/status
		while read -r line; do case $line in "Max open"*|"Max core"*|"Max address"*) echo $line;; esac; done < /proc/$$/limits
		read -r pid name state ppid a b c d e f g h i j k l m priority nice rest < /proc/$$/stat; echo "nice $nice"`)
	core := uint64(4096)
	spec.Limits = Limits{NoFile: 77, Core: &core, AS: 1 << 30, Nice: 7, OOMScoreAdj: 1000, NoNewPrivs: true}
	text, status := outputOf(t, spec)
	want := []string{
		"oom 1000", "NoNewPrivs: 1", "Max core file size 4096 4096 bytes", "Max open files 77 77 files",
		"Max address space 1073741824 1073741824 bytes", "nice 7",
	}
	if got := strings.Split(strings.TrimSpace(text), "\n"); !slices.Equal(got, want) || status != (Status{}) {
		t.Errorf("got  %q\nwant %q, and %v", got, want, status)
	}
	none := uint64(0)
	spec = sh("ulimit -c; exit $(ulimit -Hc)")
	spec.Limits.Core = &none
	if text, status := outputOf(t, spec); text != "0\n" || status != (Status{}) {
		t.Errorf("a core file may have %q, %v", text, status)
	}
}

func TestStartWithLimitRefused(t *testing.T) {
	// Above fs.nr_open, whoever asks.
	text, status := outputOf(t, Spec{Path: "/bin/true", Limits: Limits{NoFile: 1 << 40}})
	if want := "gosuper: error: cannot start worker: limits.nofile = 1099511627776: operation not permitted\n" +
		"gosuper: hint: a limit above the master's hard limit needs CAP_SYS_RESOURCE, and no nofile is above fs.nr_open\n"; text != want || status != (Status{Code: shim.ExitCannot}) {
		t.Errorf("got %q, %v, want %q", text, status, want)
	}
}

// Go's runtime may have no memory within the limit to go on with, and is not needed.
func TestStartWithinAddressSpace(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/nonexistent/python3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, reason string
		code         int
	}{{script, "no such file or directory", 127}, {t.TempDir(), "permission denied", 126}, {script + "/x", "not a directory", 127}} {
		for _, limit := range []uint64{1 << 20, 1 << 26, 1 << 30} {
			text, status := outputOf(t, Spec{Path: c.path, Limits: Limits{AS: limit}})
			want := "gosuper: error: cannot start worker: exec " + c.path + ": " + c.reason + "\ngosuper: hint: without limits.as more can be said\n"
			if text != want || status != (Status{Code: c.code}) {
				t.Errorf("got %q, %v, want %q", text, status, want)
			}
		}
	}
}

// The user of a worker has no capabilities, nor can it get any.
func TestStartDropsCapabilities(t *testing.T) {
	needRoot(t)
	spec := Spec{Path: "/bin/grep", Argv: []string{"grep", "^Cap", "/proc/self/status"}}
	before, _ := outputOf(t, spec)
	spec.Credential = &Credential{Uid: 65534, Gid: 65534}
	text, status := outputOf(t, spec)
	for line := range strings.Lines(text) {
		if set, value, _ := strings.Cut(strings.TrimSpace(line), ":\t"); value != "0000000000000000" {
			t.Errorf("%s is %s", set, value)
		}
	}
	if n := strings.Count(text, "\n"); n != 5 || status != (Status{}) {
		t.Errorf("%d sets, %v: %s", n, status, text)
	}
	// Root with another group is root.
	spec.Credential = &Credential{Uid: 0, Gid: 65534}
	if text, _ := outputOf(t, spec); text != before {
		t.Errorf("root has\n%s\nand had\n%s", text, before)
	}
}

// roleChecker says which limits it could not give.
func roleChecker() {
	var said []string
	for _, l := range []Limits{
		{NoFile: 1 << 40},
		{NoFile: 10, AS: 1 << 40, Nice: 19, OOMScoreAdj: -1000, NoNewPrivs: true},
		{Nice: -20},
		{},
	} {
		text := "fine"
		if err := l.Check(); err != nil {
			text, _, _ = strings.Cut(err.Error(), " above")
		}
		said = append(said, text)
	}
	limit := syscall.Rlimit{Cur: 100, Max: 100}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		fatal(err)
	}
	core := uint64(101)
	reportJSON(append(said, Limits{Core: &core}.Check().Error()))
}

func TestLimitsCheck(t *testing.T) {
	needRoot(t)
	h := newHandshake(t)
	usedRoles.Store("checker", true)
	start(t, Spec{
		Path: "/proc/self/exe", Env: roleEnviron("checker"), Files: []int{Null, h.childOut, 2},
		Credential: &Credential{Uid: 65534, Gid: 65534},
	})
	h.started()
	var got []string
	h.json(t, &got)
	raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"limits.nofile: 1099511627776 is", "fine", fmt.Sprintf("limits.nice: -20 is below the %d of the master, for which it needs CAP_SYS_NICE", 20-raw), "fine",
		"limits.core: 101 is above the hard limit of 100, which only CAP_SYS_RESOURCE can raise",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
