package config

import (
	"testing"
	"testing/fstest"
)

// What is left is what the tightest of all cgroups has, of which a twentieth is kept free,
// and the cache of files is.
func TestHeadroomOf(t *testing.T) {
	tests := []struct {
		name string
		root machineFS
		want Headroom
		ok   bool
	}{
		{"no limit", machine("0::/api\n", mountV2, map[string]string{"api/memory.max": "max", "api/memory.current": "1000"}), Headroom{}, false},
		{
			"v2", machine("0::/api\n", mountV2, map[string]string{
				"api/memory.max": "1000000", "api/memory.current": "700000",
				"api/memory.stat": "anon 300000\nfile 500000\nshmem 300000\ninactive_file 150000\nactive_file 50000",
			}),
			Headroom{Limit: 1000000, Left: 450000, At: "/sys/fs/cgroup/api"},
			true,
		},
		{
			"the ancestor has less left", machine("0::/pod/api\n", mountV2, map[string]string{
				"pod/api/memory.max": "1000000", "pod/api/memory.current": "100000",
				"pod/memory.max": "2000000", "pod/memory.current": "1800000",
			}),
			Headroom{Limit: 2000000, Left: 100000, At: "/sys/fs/cgroup/pod"},
			true,
		},
		{"memory.high", machine("0::/api\n", mountV2, map[string]string{"api/memory.max": "2000000", "api/memory.high": "1000000", "api/memory.current": "900000"}), Headroom{Limit: 1000000, Left: 50000, At: "/sys/fs/cgroup/api"}, true},
		{"more than all", machine("0::/api\n", mountV2, map[string]string{"api/memory.max": "1000000", "api/memory.current": "990000"}), Headroom{Limit: 1000000, At: "/sys/fs/cgroup/api"}, true},
		{
			"v1", machine("4:memory:/api\n", mountMemory, map[string]string{
				"memory/memory.limit_in_bytes": unlimitedV1, "memory/api/memory.limit_in_bytes": "1000000", "memory/api/memory.usage_in_bytes": "700000",
				"memory/api/memory.stat": "inactive_file 1\nactive_file 1\ntotal_inactive_file 150000\ntotal_active_file 50000",
			}),
			Headroom{Limit: 1000000, Left: 450000, At: "/sys/fs/cgroup/memory/api"},
			true,
		},
		{
			"hybrid", machine("4:memory:/api\n0::/api\n", mountMemory+mountHybrid, map[string]string{
				"memory/api/memory.limit_in_bytes": "1000000", "memory/api/memory.usage_in_bytes": "500000", "unified/api/cgroup.procs": "1",
			}),
			Headroom{Limit: 1000000, Left: 450000, At: "/sys/fs/cgroup/memory/api"},
			true,
		},
		{"usage unknown", machine("0::/api\n", mountV2, map[string]string{"api/memory.max": "1000000"}), Headroom{Limit: 1000000, Left: 950000, At: "/sys/fs/cgroup/api"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := fstest.MapFS(test.root)
			if got, ok := HeadroomOf(root); got != test.want || ok != test.ok || ReadMachine(root).MemoryBounded() != ok {
				t.Errorf("left is %+v, %v; want %+v, %v", got, ok, test.want, test.ok)
			}
		})
	}
}
