package config

import (
	"testing"
	"testing/fstest"
)

// Lines of /proc/self/mountinfo as the systems of the tests have them.
const (
	mountTmpfs  = "31 23 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755\n"
	mountV2     = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
	mountV1     = mountTmpfs + "36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:14 - cgroup cgroup rw,cpu,cpuacct\n37 31 0:34 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
	mountHybrid = mountV1 + "32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
)

// machine makes a file system of a cgroup, mounts, and quotas by file.
func machine(cgroup, mountinfo string, quotas map[string]string) machineFS {
	root := machineFS{
		"proc/self/cgroup":    {Data: []byte(cgroup)},
		"proc/self/mountinfo": {Data: []byte("22 28 0:21 / /proc rw - proc proc rw\n" + mountinfo)},
	}
	for path, text := range quotas {
		root.with("sys/fs/cgroup/"+path, text)
	}
	return root
}

// machineFS is the file system of a machine.
type machineFS fstest.MapFS

// with adds a file.
func (m machineFS) with(path, text string) machineFS {
	m[path] = &fstest.MapFile{Data: []byte(text + "\n")}
	return m
}

const noQuota = "no CPU quota; set workers to the number you want"

func TestCountWorkers(t *testing.T) {
	tests := []struct {
		name string
		root machineFS
		n    int
		why  string
	}{
		{"no /proc", machineFS{}, 2, noQuota},
		{"v2 without a quota", machine("0::/user.slice/session-1.scope\n", mountV2, map[string]string{
			"user.slice/cpu.max": "max 100000", "user.slice/session-1.scope/cpu.max": "max 100000",
		}), 2, noQuota},
		{"v2 service, rounded up", machine("0::/system.slice/api.service\n", mountV2, map[string]string{
			"system.slice/cpu.max": "max 100000", "system.slice/api.service/cpu.max": "350000 100000",
		}), 4, "the CPU quota is 3.5 (/sys/fs/cgroup/system.slice/api.service)"},
		{"v2, the ancestor is tighter", machine("0::/a.slice/b.slice/api.service\n", mountV2, map[string]string{
			"a.slice/cpu.max": "300000 100000", "a.slice/b.slice/cpu.max": "max 100000", "a.slice/b.slice/api.service/cpu.max": "800000 100000",
		}), 3, "the CPU quota is 3 (/sys/fs/cgroup/a.slice)"},
		{
			"v2, less than one", machine("0::/api\n", mountV2, map[string]string{"api/cpu.max": "50000 100000"}),
			2, "the CPU quota is 0.5 (/sys/fs/cgroup/api)",
		},
		{
			"v2, another period", machine("0::/api\n", mountV2, map[string]string{"api/cpu.max": "1000000 250000"}),
			4, "the CPU quota is 4 (/sys/fs/cgroup/api)",
		},
		{
			"v2, a sibling's quota", machine("0::/api\n", mountV2, map[string]string{"apis/cpu.max": "100000 100000", "other/cpu.max": "1 1"}),
			2, noQuota,
		},
		// docker run --cpus=3 on a v2 host: a namespace of its own.
		{"v2 container with a namespace", machine("0::/\n",
			"676 667 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n",
			map[string]string{"cpu.max": "300000 100000"}), 3, "the CPU quota is 3 (/sys/fs/cgroup)"},
		// The same with --cgroupns=host: the mount shows the host's tree.
		{
			"v2 container of the host's namespace", machine("0::/system.slice/docker-abc.scope\n", mountV2,
				map[string]string{"system.slice/docker-abc.scope/cpu.max": "300000 100000"}),
			3, "the CPU quota is 3 (/sys/fs/cgroup/system.slice/docker-abc.scope)",
		},
		// A runtime that mounts only the container's cgroup.
		{"v2, only the own cgroup mounted", machine("0::/kubepods/pod1/c1\n",
			"676 667 0:26 /kubepods/pod1/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			map[string]string{"cpu.max": "500000 100000"}), 5, "the CPU quota is 5 (/sys/fs/cgroup)"},
		{"v2, own cgroup mounted, own child", machine("0::/kubepods/pod1/c1/init.scope\n",
			"676 667 0:26 /kubepods/pod1/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			map[string]string{"cpu.max": "500000 100000", "init.scope/cpu.max": "max 100000"}), 5, "the CPU quota is 5 (/sys/fs/cgroup)"},
		// The path is the host's, and the mount is the container's although it
		// says that it begins at the root.
		{"v2, the path is not under the mount", machine("0::/kubepods/pod1/c1\n", mountV2,
			map[string]string{"cpu.max": "600000 100000"}), 6, "the CPU quota is 6 (/sys/fs/cgroup)"},
		{"v2, moved out of the namespace", machine("0::/../other\n", mountV2,
			map[string]string{"cpu.max": "300000 100000", "other/cpu.max": "100000 100000"}), 3, "the CPU quota is 3 (/sys/fs/cgroup)"},
		{"v2, the mount is outside of the namespace", machine("0::/\n",
			"676 667 0:26 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n", nil), 2, noQuota},
		{
			"v2, a foreign cgroup mounted besides", machine("0::/api\n",
				mountV2+"90 23 0:26 /other /mnt ro - cgroup2 cgroup2 rw\n", map[string]string{"api/cpu.max": "max 100000"}).with("mnt/cpu.max", "100000 100000"),
			2, noQuota,
		},
		{"v1 without a quota", machine("5:cpuset:/\n4:cpu,cpuacct:/user.slice\n", mountV1, map[string]string{
			"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000",
			"cpu,cpuacct/user.slice/cpu.cfs_quota_us": "-1", "cpu,cpuacct/user.slice/cpu.cfs_period_us": "100000",
		}), 2, noQuota},
		{"v1 service", machine("4:cpu,cpuacct:/system.slice/api.service\n1:name=systemd:/\n", mountV1, map[string]string{
			"cpu,cpuacct/system.slice/cpu.cfs_quota_us": "250000", "cpu,cpuacct/system.slice/cpu.cfs_period_us": "50000",
			"cpu,cpuacct/system.slice/api.service/cpu.cfs_quota_us": "620000", "cpu,cpuacct/system.slice/api.service/cpu.cfs_period_us": "100000",
		}), 5, "the CPU quota is 5 (/sys/fs/cgroup/cpu,cpuacct/system.slice)"},
		{"v1 container", machine("4:cpu,cpuacct:/docker/abc\n",
			"760 750 0:33 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:14 - cgroup cgroup rw,cpu,cpuacct\n", map[string]string{
				"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000",
			}), 3, "the CPU quota is 3 (/sys/fs/cgroup/cpu,cpuacct)"},
		// A container inside of a container: neither path knows of the other.
		{"v1, the path is not under the mount", machine("4:cpu,cpuacct:/kubelet/pod1\n",
			"760 750 0:33 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n", map[string]string{
				"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000",
			}), 3, "the CPU quota is 3 (/sys/fs/cgroup/cpu,cpuacct)"},
		{"v1, a name that only begins alike", machine("4:cpu,cpuacct:/docker/abcdef\n",
			"760 750 0:33 /docker/abc /mnt ro - cgroup cgroup rw,cpu,cpuacct\n761 750 0:33 / /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n",
			nil).with("mnt/cpu.cfs_quota_us", "100000").with("mnt/cpu.cfs_period_us", "100000"), 2, noQuota},
		{"hybrid", machine("4:cpu,cpuacct:/system.slice/api.service\n0::/system.slice/api.service\n", mountHybrid, map[string]string{
			"cpu,cpuacct/system.slice/api.service/cpu.cfs_quota_us": "400000", "cpu,cpuacct/system.slice/api.service/cpu.cfs_period_us": "100000",
			"unified/system.slice/api.service/cgroup.procs": "1",
		}), 4, "the CPU quota is 4 (/sys/fs/cgroup/cpu,cpuacct/system.slice/api.service)"},
		{"a blank in the mount point", machine("0::/api\n", "30 23 0:26 / /my\\040cgroups rw - cgroup2 cgroup2 rw\n", nil).
			with("my cgroups/api/cpu.max", "300000 100000"), 3, "the CPU quota is 3 (/my cgroups/api)"},
		{
			"a colon in the path", machine("0::/a:b\n", mountV2, map[string]string{"a:b/cpu.max": "300000 100000"}),
			3, "the CPU quota is 3 (/sys/fs/cgroup/a:b)",
		},
		{"nonsense", machine("x\n0::\n4:cpu\n", "x\n30 23 - cgroup2\n30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", map[string]string{
			"cpu.max": "-5 0",
		}), 2, noQuota},
		{"no period", machine("0::/\n", mountV2, map[string]string{"cpu.max": "100000 0"}), 2, noQuota},
		{
			"a quota beyond reason", machine("0::/\n", mountV2, map[string]string{"cpu.max": "900000000000000 1"}),
			MaxWorkers, "the CPU quota is 900000000000000 (/sys/fs/cgroup)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n, why, warning := (&Config{Workers: Workers{Auto: true}}).CountWorkers(ReadMachine(fstest.MapFS(test.root)))
			if n != test.n || why != test.why || warning != "" {
				t.Errorf("%d: %s %s\nwant %d: %s", n, why, warning, test.n, test.why)
			}
		})
	}
}
