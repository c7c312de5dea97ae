package config

import (
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// Mounts with the memory controller.
const (
	mountMemory = mountTmpfs + "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	unlimitedV1 = "9223372036854771712"
)

func TestAutoWorkersByMemory(t *testing.T) {
	// Four CPUs are the quota everywhere.
	v2 := func(limits map[string]string) machineFS {
		limits["api/cpu.max"] = "400000 100000"
		return machine("0::/api\n", mountV2, limits)
	}
	tests := []struct {
		name    string
		root    machineFS
		need    Size
		surge   Surge
		n       int
		at      string // of the limit that counts; "": the CPU quota does
		warning string
	}{
		{"no limit", v2(map[string]string{"api/memory.max": "max"}), GiB, Surge{N: 1}, 4, "", ""},
		{"room for all", v2(map[string]string{"api/memory.max": "5368709120"}), GiB, Surge{N: 1}, 4, "", ""},
		{"room for three", v2(map[string]string{"api/memory.max": "5368709119"}), GiB, Surge{N: 1}, 3, "/sys/fs/cgroup/api", ""},
		{"not considered", v2(map[string]string{"api/memory.max": "1"}), 0, Surge{N: 1}, 4, "", ""},
		{"stop first", v2(map[string]string{"api/memory.max": "3221225472"}), GiB, Surge{}, 3, "/sys/fs/cgroup/api", ""},
		{"surge by percent", v2(map[string]string{"api/memory.max": "5368709120"}), GiB, Surge{N: 100, Percent: true}, 2, "/sys/fs/cgroup/api", ""},
		{"one alone", v2(map[string]string{"api/memory.max": "2147483648"}), GiB, Surge{N: 1}, 1, "/sys/fs/cgroup/api", ""},
		{
			"no replacement fits", v2(map[string]string{"api/memory.max": "1073741824"}), GiB,
			Surge{N: 1},
			1, "/sys/fs/cgroup/api",
			"the memory limit of 1GiB (/sys/fs/cgroup/api) has no room for one worker of 1GiB and its replacement beside it; surge = 0 stops a worker first",
		},
		{
			"not even one fits", v2(map[string]string{"api/memory.max": "1073741823"}), GiB,
			Surge{},
			1, "/sys/fs/cgroup/api",
			"the memory limit of 1073741823B (/sys/fs/cgroup/api) has no room for one worker of 1GiB",
		},
		{"the ancestor is tighter", v2(map[string]string{"api/memory.max": "max", "memory.max": "3221225472"}), GiB, Surge{N: 1}, 2, "/sys/fs/cgroup", ""},
		{"memory.high", v2(map[string]string{"api/memory.max": "5368709120", "api/memory.high": "3221225472"}), GiB, Surge{N: 1}, 2, "/sys/fs/cgroup/api", ""},
		{"nonsense", v2(map[string]string{"api/memory.max": "-1", "memory.max": "much"}), GiB, Surge{N: 1}, 4, "", ""},
		{"v1", machine("4:memory:/api\n3:cpuset:/api\n", mountMemory, map[string]string{
			"memory/memory.limit_in_bytes": unlimitedV1, "memory/api/memory.limit_in_bytes": "2147483648",
		}), GiB, Surge{N: 1}, 1, "/sys/fs/cgroup/memory/api", ""},
		{"v1 without a limit", machine("4:memory:/api\n", mountMemory, map[string]string{
			"memory/memory.limit_in_bytes": unlimitedV1, "memory/api/memory.limit_in_bytes": unlimitedV1,
		}), GiB, Surge{N: 1}, 2, "", ""},
		{"hybrid", machine("4:memory:/api\n0::/api\n", mountMemory+mountHybrid, map[string]string{
			"memory/api/memory.limit_in_bytes": "2147483648", "unified/api/cgroup.procs": "1",
		}), GiB, Surge{N: 1}, 1, "/sys/fs/cgroup/memory/api", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Config{Workers: Workers{Auto: true}, WorkerMemory: test.need, Surge: test.surge}
			n, why, warning := c.CountWorkers(ReadMachine(fstest.MapFS(test.root)))
			byMemory := strings.Contains(why, "memory limit")
			if n != test.n || warning != test.warning || byMemory != (test.at != "") || !strings.Contains(why, test.at) {
				t.Errorf("%d: %s\n%s\nwant %d: %s\n%s", n, why, warning, test.n, test.at, test.warning)
			}
		})
	}
}

func TestWorkersByCPU(t *testing.T) {
	quotas := func(quota string) machineFS {
		return machine("0::/api\n", mountV2, map[string]string{"api/cpu.max": quota, "api/memory.max": "5368709120"})
	}
	for _, test := range []struct {
		workers, quota, rest string
		n                    int
		why                  string
	}{
		{"cpu", "350000 100000", "", 4, "the CPU quota is 3.5 (/sys/fs/cgroup/api)"},
		{"cpu+1", "350000 100000", "", 5, "the CPU quota is 3.5 (/sys/fs/cgroup/api)"},
		{"2*cpu+1", "350000 100000", "", 9, "the CPU quota is 3.5 (/sys/fs/cgroup/api)"},
		{"cpu", "50000 100000", "", 1, "the CPU quota is 0.5 (/sys/fs/cgroup/api)"},
		{"2*cpu+1", "50000 100000", "", 3, "the CPU quota is 0.5 (/sys/fs/cgroup/api)"},
		{"auto", "50000 100000", "", 2, "the CPU quota is 0.5 (/sys/fs/cgroup/api)"},
		{"2*cpu+1", "max 100000", "", 5, "no CPU quota, so cpu is 2; set workers to the number you want"},
		{"2*cpu+1", "900000000000000 1", "", MaxWorkers, "the CPU quota is 900000000000000 (/sys/fs/cgroup/api)"},
		{"2*cpu+1", "400000 100000", "worker_memory = \"1GiB\"\n", 4, "the memory limit is 5GiB (/sys/fs/cgroup/api), for workers and surge of 1GiB each"},
		{"7", "350000 100000", "", 7, ""},
	} {
		t.Run(test.workers+" of "+test.quota, func(t *testing.T) {
			key := "workers = " + strings.Trim(strconv.Quote(test.workers), map[bool]string{true: "\""}[test.why == ""])
			file := write(t, "s.toml", "command = [\"a\"]\n"+key+"\n"+test.rest)
			for _, source := range []Source{
				{File: file},
				{File: file, Flags: map[string][]string{"workers": {test.workers}}},
				{File: file, Environ: []string{"GOSUPER_WORKERS=" + test.workers}},
				{File: write(t, "s.toml", "command = [\"a\"]\n"+test.rest), Environ: []string{"WEB_CONCURRENCY=" + test.workers}},
			} {
				c, warnings := mustLoad(t, source)
				n, why, warning := c.CountWorkers(ReadMachine(fstest.MapFS(quotas(test.quota))))
				if n != test.n || why != test.why || len(warnings) > 0 || warning != "" {
					t.Errorf("%d: %s %q %s\nwant %d: %s", n, why, warnings, warning, test.n, test.why)
				}
				if printed := c.TOML(nil); !strings.Contains(printed, "\n"+key+"\n") {
					t.Errorf("printed:\n%s", printed)
				}
			}
		})
	}
	for _, text := range []string{"3*cpu", "2 * cpu + 1", "cpu-1", "cpu+0", "CPU", "0"} {
		_, _, err := Load(Source{Command: []string{"a"}, Flags: map[string][]string{"workers": {text}}})
		if err == nil || !strings.Contains(err.Error(), "--workers: must be ") {
			t.Errorf("--workers %q: %v", text, err)
		}
	}
}

func TestOOMKills(t *testing.T) {
	const v1, v2 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "low 0\nhigh 2\nmax 7\noom 4\noom_kill 5\noom_group_kill 0\n"
	tests := []struct {
		name string
		root machineFS
		n    uint64
		ok   bool
	}{
		{"no /proc", machineFS{}, 0, false},
		{"v2", machine("0::/api\n", mountV2, map[string]string{"api/memory.events": v2, "memory.events": strings.ReplaceAll(v2, "5", "9")}), 5, true},
		{"v2, the root has none", machine("0::/\n", mountV2, nil), 0, false},
		{"v2 container", machine("0::/\n", "676 667 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n", map[string]string{"memory.events": v2}), 5, true},
		{"v1", machine("4:memory:/api\n", mountMemory, map[string]string{"memory/api/memory.oom_control": v1, "memory/memory.oom_control": "oom_kill 8"}), 3, true},
		{"v1 before Linux 4.13", machine("4:memory:/api\n", mountMemory, map[string]string{"memory/api/memory.oom_control": v1[:len(v1)-11]}), 0, false},
		{"hybrid", machine("4:memory:/api\n0::/api\n", mountMemory+mountHybrid, map[string]string{
			"memory/api/memory.oom_control": v1, "unified/api/cgroup.procs": "1",
		}), 3, true},
		{"nonsense", machine("0::/\n", mountV2, map[string]string{"memory.events": "oom_kill many\n"}), 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := NewOOMCounter(fstest.MapFS(test.root))
			for range 2 {
				if n, ok := c.Kills(); n != test.n || ok != test.ok {
					t.Errorf("%d, %v, want %d, %v", n, ok, test.n, test.ok)
				}
			}
		})
	}
}

// The cgroup of a process may change.
func TestOOMCounterMoves(t *testing.T) {
	events := map[string]string{"a/memory.events": "oom_kill 1\n", "b/memory.events": "oom_kill 2\n"}
	root := machine("0::/a\n", mountV2, events)
	c := NewOOMCounter(fstest.MapFS(root))
	for i, name := range []string{"a", "b"} {
		root["proc/self/cgroup"].Data = []byte("0::/" + name + "\n")
		if n, ok := c.Kills(); n != uint64(i+1) || !ok {
			t.Errorf("in %s: %d, %v, want %d", name, n, ok, i+1)
		}
	}
}

func TestLimits(t *testing.T) {
	const soft, hard = "max_worker_memory = \"1GiB\"\n", "max_worker_memory_hard = \"1GB\"\n"
	for _, test := range []struct{ name, text, want string }{
		{"the hard limit is lower", soft + hard, "s.toml:3: max_worker_memory_hard: max_worker_memory_hard (1GB) must be above max_worker_memory (1GiB), or no worker is ever replaced gracefully"},
		{"the soft limit is written later", hard + soft, "s.toml:3: max_worker_memory: max_worker_memory_hard (1GB) must be above"},
		{"worker_memory with a number of workers", "workers = 4\nsurge = 0\nworker_memory = \"1GiB\"\n", "worker_memory has no effect while workers is a number, and neither surge nor spares add to them"},
		{"worker_memory beside a successor", "workers = 4\nworker_memory = \"1GiB\"\n", ""},
		{"worker_memory beside a spare", "workers = 4\nsurge = 0\nspares = 1\nworker_memory = \"1GiB\"\n", ""},
		{"jitter alone", "max_worker_lifetime_jitter = \"1h\"\n", "max_worker_lifetime_jitter has no effect while max_worker_lifetime is 0"},
		{"a hard limit alone", hard, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, warnings, err := Load(Source{File: write(t, "s.toml", "command = [\"a\"]\n"+test.text)})
			said := strings.Join(warnings, "\n")
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, test.want) || (said == "") != (test.want == "") {
				t.Errorf("%s, want %s", said, test.want)
			}
		})
	}
}

func TestRoom(t *testing.T) {
	eight := machine("0::/api\n", mountV2, map[string]string{"api/memory.max": "8589934592"})
	for _, test := range []struct {
		name   string
		root   machineFS
		config Config
		room   int
	}{
		{"beside surge", eight, Config{WorkerMemory: GiB, Surge: Surge{N: 1}}, 7},
		{"and spares", eight, Config{WorkerMemory: GiB, Surge: Surge{N: 1}, Spares: 2}, 5},
		{"surge by percent", eight, Config{WorkerMemory: GiB, Surge: Surge{N: 100, Percent: true}}, 4},
		{"at least one", eight, Config{WorkerMemory: 64 * GiB}, 1},
		{"no need is known", eight, Config{}, 0},
		{"no limit", machine("0::/api\n", mountV2, nil), Config{WorkerMemory: GiB}, 0},
	} {
		if room := test.config.Room(ReadMachine(fstest.MapFS(test.root))); room != test.room {
			t.Errorf("%s: room for %d, want %d", test.name, room, test.room)
		}
	}
}
