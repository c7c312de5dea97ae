package config

import (
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
			c := &Config{WorkerMemory: test.need, Surge: test.surge}
			n, why, warning := c.AutoWorkers(fstest.MapFS(test.root))
			byMemory := strings.Contains(why, "memory limit")
			if n != test.n || warning != test.warning || byMemory != (test.at != "") || !strings.Contains(why, test.at) {
				t.Errorf("%d: %s\n%s\nwant %d: %s\n%s", n, why, warning, test.n, test.at, test.warning)
			}
		})
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
		{"worker_memory with a number of workers", "workers = 4\nworker_memory = \"1GiB\"\n", "worker_memory has no effect while workers is a number"},
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
