package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestMemory(t *testing.T) {
	limited := func(limit string) machineFS {
		return machine("0::/api\n", mountV2, map[string]string{"api/memory.max": limit})
	}
	const unlimited = "no memory limit of the own cgroup or an ancestor is known"
	tests := []struct {
		name    string
		root    machineFS
		soft    Size
		hard    Size
		surge   Surge
		workers int
		want    Size
		why     string
		warning string // part of the only one; "": there is none
	}{
		{"nothing is said", limited("1073741824"), 0, 0, Surge{N: 1}, 4, 0, "", ""},
		{"no limit", limited("max"), 0, SizeAuto, Surge{N: 1}, 4, 0, unlimited, ""},
		{"no /proc", machineFS{}, 0, SizeAuto, Surge{N: 1}, 4, 0, unlimited, ""},
		{
			"a twentieth for the master", limited("1073741824"), 0, SizeAuto,
			Surge{N: 1},
			4, 194 * MiB,
			"the memory limit is 1GiB (/sys/fs/cgroup/api), for 4 workers, 1 more while they are replaced, and 51MiB for the master", "",
		},
		{
			"at least 32 MiB for the master", limited("536870912"), 0, SizeAuto,
			Surge{},
			1, 480 * MiB,
			"the memory limit is 512MiB (/sys/fs/cgroup/api), for 1 worker and 32MiB for the master", "",
		},
		{
			"surge by percent", limited("10737418240"), 0, SizeAuto,
			Surge{N: 50, Percent: true},
			4, 1621 * MiB,
			"the memory limit is 10GiB (/sys/fs/cgroup/api), for 4 workers, 2 more while they are replaced, and 512MiB for the master", "",
		},
		{
			"the ancestor is tighter", machine("0::/api\n", mountV2, map[string]string{"api/memory.max": "1073741824", "memory.max": "536870912"}),
			0, SizeAuto,
			Surge{N: 1},
			1, 240 * MiB, "the memory limit is 512MiB (/sys/fs/cgroup), for 1 worker, 1 more while they are replaced, and 32MiB for the master", "",
		},
		{
			"v1", machine("4:memory:/api\n", mountMemory, map[string]string{"memory/memory.limit_in_bytes": unlimitedV1, "memory/api/memory.limit_in_bytes": "536870912"}),
			0, SizeAuto,
			Surge{},
			2, 240 * MiB, "the memory limit is 512MiB (/sys/fs/cgroup/memory/api), for 2 workers and 32MiB for the master", "",
		},
		{
			"hybrid", machine("4:memory:/api\n0::/api\n", mountMemory+mountHybrid, map[string]string{"memory/api/memory.limit_in_bytes": "536870912", "unified/api/cgroup.procs": "1"}),
			0, SizeAuto,
			Surge{},
			2, 240 * MiB, "the memory limit is 512MiB (/sys/fs/cgroup/memory/api), for 2 workers and 32MiB for the master", "",
		},
		{
			"no room at all", limited("33554432"), 0, SizeAuto,
			Surge{N: 1},
			2, 0,
			"the memory limit is 32MiB (/sys/fs/cgroup/api), for 2 workers, 1 more while they are replaced, and 32MiB for the master",
			"max_worker_memory_hard = auto has no effect: the memory limit of 32MiB (/sys/fs/cgroup/api) has no room for 2 workers, 1 more while they are replaced, and 32MiB for the master",
		},
		{
			"below the soft limit", limited("536870912"), 240 * MiB, SizeAuto,
			Surge{N: 1},
			1, 240 * MiB,
			"the memory limit is 512MiB (/sys/fs/cgroup/api), for 1 worker, 1 more while they are replaced, and 32MiB for the master",
			"no worker is ever replaced gracefully for its memory: max_worker_memory (240MiB) is not below max_worker_memory_hard = auto, which is 240MiB here",
		},
		{"a written limit that fits", limited("536870912"), 0, 160 * MiB, Surge{N: 1}, 2, 160 * MiB, "", ""},
		{"a soft limit that fits", limited("536870912"), 160 * MiB, 0, Surge{N: 1}, 2, 0, "", ""},
		{
			"no room for a replacement", limited("536870912"), 0, 161 * MiB,
			Surge{N: 1},
			2, 161 * MiB, "",
			"the memory limit of 512MiB (/sys/fs/cgroup/api) has no room for 2 workers, 1 more while they are replaced, that take max_worker_memory_hard = 161MiB each, and 32MiB for the master: " +
				"at most 160MiB each fit, or surge = 0, which stops a worker before its replacement starts",
		},
		{
			"no room for a replacement, by the soft limit", limited("536870912"), 161 * MiB, 0,
			Surge{N: 1},
			2, 0, "",
			"that take max_worker_memory = 161MiB each, and 32MiB for the master: at most 160MiB each fit, or surge = 0",
		},
		{
			"no room for the workers", limited("536870912"), 0, GiB,
			Surge{},
			2, GiB, "",
			"has no room for 2 workers that take max_worker_memory_hard = 1GiB each, and 32MiB for the master: at most 240MiB each fit",
		},
		{"a written limit, and nothing is known", limited("max"), GiB, 2 * GiB, Surge{N: 1}, 2, 2 * GiB, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Config{MaxWorkerMemory: test.soft, MaxWorkerMemoryHard: test.hard, Surge: test.surge}
			m := c.Memory(ReadMachine(fstest.MapFS(test.root)), test.workers)
			if m.Hard != test.want || m.Why != test.why {
				t.Errorf("%s: %s\nwant %s: %s", m.Hard, m.Why, test.want, test.why)
			}
			all := strings.Join(m.Warnings, "\n")
			if !strings.Contains(all, test.warning) || (test.warning == "") != (all == "") || len(m.Warnings) > 1 {
				t.Errorf("%s\nwant %s", all, test.warning)
			}
		})
	}
}

// Whoever may be killed with the worker that took too much is told so, unless a
// limit keeps it from coming to that.
func TestOOMGroup(t *testing.T) {
	tests := []struct {
		name string
		root machineFS
		hard Size
		at   string // of the cgroup that is killed as a whole; "": nothing is said
		cure string
	}{
		{"a container", machine("0::/\n", mountV2, map[string]string{"memory.max": "536870912", "memory.oom.group": "1"}), 0, "/sys/fs/cgroup", `max_worker_memory_hard = "auto"`},
		{"a container of Docker", machine("0::/\n", mountV2, map[string]string{"memory.max": "536870912", "memory.oom.group": "0"}), 0, "", ""},
		{"a container without a limit", machine("0::/\n", mountV2, map[string]string{"memory.max": "max", "memory.oom.group": "1"}), 0, "/sys/fs/cgroup", "max_worker_memory_hard has"},
		{"with a hard limit", machine("0::/\n", mountV2, map[string]string{"memory.max": "536870912", "memory.oom.group": "1"}), 100 * MiB, "", ""},
		{"with an automatic one", machine("0::/\n", mountV2, map[string]string{"memory.max": "536870912", "memory.oom.group": "1"}), SizeAuto, "", ""},
		{"with an automatic one that cannot be", machine("0::/\n", mountV2, map[string]string{"memory.max": "max", "memory.oom.group": "1"}), SizeAuto, "/sys/fs/cgroup", "max_worker_memory_hard has"},
		{"the ancestor with the limit", machine("0::/pod/c\n", mountV2, map[string]string{"pod/memory.max": "536870912", "pod/memory.oom.group": "1", "pod/c/memory.max": "max", "pod/c/memory.oom.group": "0"}), 0, "/sys/fs/cgroup/pod", `"auto"`},
		{"between it and the own", machine("0::/pod/c/d\n", mountV2, map[string]string{"pod/memory.max": "536870912", "pod/memory.oom.group": "0", "pod/c/memory.oom.group": "1"}), 0, "/sys/fs/cgroup/pod/c", `"auto"`},
		{"above the limit", machine("0::/pod/c\n", mountV2, map[string]string{"pod/memory.oom.group": "1", "pod/memory.max": "max", "pod/c/memory.max": "536870912"}), 0, "", ""},
		{"v1 knows no such thing", machine("4:memory:/api\n", mountMemory, map[string]string{"memory/api/memory.limit_in_bytes": "536870912", "memory/api/memory.oom.group": "1"}), 0, "", ""},
		{"no /proc", machineFS{}, 0, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Config{MaxWorkerMemoryHard: test.hard, Surge: Surge{N: 1}}
			said := strings.Join(c.Memory(ReadMachine(fstest.MapFS(test.root)), 2).Warnings, "\n")
			if (said == "") != (test.at == "") || !strings.Contains(said, "memory.oom.group is 1 in "+test.at) && said != "" || !strings.Contains(said, test.cure) {
				t.Errorf("it says %q, want %s, %s", said, test.at, test.cure)
			}
		})
	}
}
