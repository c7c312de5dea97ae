//go:build linux

package outfit

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/protocol"
)

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gosuper.toml")
	if err := os.WriteFile(file, []byte("command = [\"/bin/true\"]\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// variables are those of an outfit, each of them once.
func variables(t *testing.T, o *Outfit) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, e := range o.Env {
		name, value, _ := strings.Cut(e, "=")
		if _, twice := env[name]; twice {
			t.Errorf("%s is set twice", name)
		}
		env[name] = value
	}
	return env
}

// named is the descriptor that a variable names; -1: it names none.
func named(t *testing.T, o *Outfit, env map[string]string, name string) int {
	t.Helper()
	value, set := env[name]
	if !set {
		return -1
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 3 || n >= len(o.Files) {
		t.Fatalf("%s is %q of %d descriptors", name, value, len(o.Files))
	}
	return o.Files[n]
}

func TestWorker(t *testing.T) {
	all := Worker{
		Environ: []string{"OWN=1"}, Identity: []string{"HOME=/nowhere"},
		ID: 3, Slot: 1, Place: 2, Generation: 4, Limit: 9, Lease: map[string]string{"gpu": "GPU-5"},
		Stdout: 11, Stderr: 12, Listeners: []int{13, 14}, Names: []string{"bind0", "bind1"},
		NotifyAddress: "/run/notify", Notify: 15, Board: 16, Fleet: 17, Access: 18, TLS: 19, Front: 20,
	}
	few := all
	few.NotifyAddress, few.Board, few.Fleet, few.Access, few.TLS, few.Front = "", -1, -1, -1, -1, -1
	for _, test := range []struct {
		name, toml string
		given      Worker
		want       map[string]string // "-": not set
		files      []int
	}{
		{
			"all", "watchdog = \"7s\"\ntimeout = \"1500us\"\n", all,
			map[string]string{
				"OWN": "1", "HOME": "/nowhere", protocol.EnvListenPID: "", protocol.EnvListenFDs: "2", protocol.EnvListenFDNames: "bind0:bind1",
				protocol.EnvNotifySocket: "/run/notify", protocol.EnvAccessFormat: "combined", protocol.EnvStopSignal: "SIGTERM",
				protocol.EnvWorkerID: "3", protocol.EnvSlot: "1", protocol.EnvPlace: "2", protocol.EnvGeneration: "4",
				"GOSUPER_RESOURCE_GPU": "GPU-5", protocol.EnvLimitRequests: "9", protocol.EnvLimitTimeout: "2", protocol.EnvWatchdog: "7000000",
			},
			[]int{process.Null, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
		},
		{
			"few", "", few,
			map[string]string{
				protocol.EnvNotifySocket: "-", protocol.EnvScoreboardFD: "-", protocol.EnvFleetFD: "-", protocol.EnvAccessFD: "-",
				protocol.EnvAccessFormat: "-", protocol.EnvTLSFD: "-", protocol.EnvWatchdog: "-",
			},
			[]int{process.Null, 11, 12, 13, 14, 15},
		},
		{
			"from a loader", "preload = true\n[env]\nSHARD = \"s{slot}\"\n", all,
			map[string]string{"SHARD": "s1", "GOSUPER_RESOURCE_GPU": "GPU-5", "OWN": "-", "HOME": "-", protocol.EnvListenPID: "-", protocol.EnvSlot: "1"},
			[]int{process.Null, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &Outfit{}
			given := test.given
			given.Config = load(t, test.toml)
			given.Fill(o)
			env := variables(t, o)
			for name, want := range test.want {
				if got, set := env[name]; set == (want == "-") || set && got != want {
					t.Errorf("%s is %q, %v, want %q", name, got, set, want)
				}
			}
			for name, want := range map[string]int{
				protocol.EnvNotifyFD: given.Notify, protocol.EnvScoreboardFD: given.Board, protocol.EnvFleetFD: given.Fleet,
				protocol.EnvAccessFD: given.Access, protocol.EnvTLSFD: given.TLS, protocol.EnvFrontFD: given.Front,
			} {
				if got := named(t, o, env, name); got != want {
					t.Errorf("%s names %d, want %d", name, got, want)
				}
			}
			if !slices.Equal(o.Files, test.files) {
				t.Errorf("it is given %v, want %v", o.Files, test.files)
			}
		})
	}
}

func TestLoader(t *testing.T) {
	o := &Outfit{}
	l := Loader{Config: load(t, "preload = true\n[env]\nA = \"b\"\nSHARD = \"s{slot}\"\n"), Environ: []string{"OWN=1"}, Generation: 4, Stdout: 11, Stderr: 12, Channel: 13}
	l.Fill(o)
	env := variables(t, o)
	_, differs := env["SHARD"]
	if differs || env["OWN"] != "1" || env["A"] != "b" || env[protocol.EnvGeneration] != "4" || named(t, o, env, protocol.EnvLoaderFD) != 13 {
		t.Errorf("it is given %v", env)
	}
	if want := []int{process.Null, 11, 12, 13}; !slices.Equal(o.Files, want) {
		t.Errorf("it is given %v, want %v", o.Files, want)
	}
}

// What was lent is closed as soon as the outfit has copies, and those with the outfit.
func TestOwn(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	open := func(fd int) bool {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil
	}
	defer unix.Close(pipe[0])
	o := &Outfit{Files: []int{process.Null, pipe[0], pipe[1]}}
	o.Lend(func() { unix.Close(pipe[1]) })
	if err := o.Own(); err != nil {
		t.Fatal(err)
	}
	if o.Files[0] != process.Null || slices.Contains(o.Files, pipe[0]) || slices.Contains(o.Files, pipe[1]) || !open(pipe[0]) || open(pipe[1]) {
		t.Errorf("it has %v of %v", o.Files, pipe)
	}
	o.Close()
	if open(o.Files[1]) || open(o.Files[2]) || !open(pipe[0]) {
		t.Errorf("of %v and %v something else is open", o.Files, pipe)
	}
	o = &Outfit{Files: []int{pipe[0], -5}}
	if err := o.Own(); err == nil {
		t.Error("there is a copy of nothing")
	}
	if o.Close(); open(o.Files[0]) || !open(pipe[0]) {
		t.Errorf("of %v and %v something else is open", o.Files, pipe)
	}
}
