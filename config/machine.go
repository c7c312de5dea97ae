package config

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Machine is what the cgroups of this process allow it, as it was when that was read: their
// limits may change while it runs. The zero value sets none.
type Machine struct {
	cpus     float64 `state:"cpus"`      // the smallest quota, in CPUs
	cpusAt   string  `state:"cpus_at"`   // folder of its cgroup; "": there is none
	memory   Size    `state:"memory"`    // the smallest memory limit
	memoryAt string  `state:"memory_at"` // folder of its cgroup; "": there is none
	together string  `state:"together"`  // folder of the cgroup that the kernel kills as a whole; "": it kills one process
}

// ReadMachine looks at the own cgroup and all its ancestors that can be seen from here. root
// is the file system of the machine, os.DirFS("/"). Whatever cannot be read sets no limit.
// The kernel has to be waited for, as it may be busy with cgroups or mounts.
func ReadMachine(root fs.FS) (m Machine) {
	m.cpus, m.cpusAt = cpuQuota(root)
	m.memory, m.memoryAt = memoryLimit(root)
	m.together = oomGroup(root)
	return m
}

// MemoryBounded says whether there is a memory limit.
func (m Machine) MemoryBounded() bool { return m.memoryAt != "" }

// cpuQuota returns the smallest quota, in CPUs, and the folder of its cgroup; "" if there
// is none.
func cpuQuota(root fs.FS) (quota float64, at string) {
	for _, hierarchy := range ownFolders(root, "cpu") {
		for _, dir := range hierarchy.dirs {
			q, ok := readQuota(root, dir, hierarchy.v2)
			if ok && (at == "" || q < quota) {
				quota, at = q, dir
			}
		}
	}
	return quota, at
}

// readQuota reads the quota of one cgroup, in CPUs.
func readQuota(root fs.FS, dir string, v2 bool) (float64, bool) {
	var fields []string
	if v2 {
		fields = strings.Fields(contents(root, path.Join(dir, "cpu.max")))
	} else {
		fields = append(strings.Fields(contents(root, path.Join(dir, "cpu.cfs_quota_us"))),
			strings.Fields(contents(root, path.Join(dir, "cpu.cfs_period_us")))...)
	}
	if len(fields) != 2 {
		return 0, false
	}
	// "max" and -1 mean that there is none.
	quota, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || quota <= 0 {
		return 0, false
	}
	period, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || period <= 0 {
		return 0, false
	}
	return float64(quota) / float64(period), true
}

// memoryLimit returns the smallest memory limit, and the folder of its cgroup;
// "" if there is none. Above memory.high a cgroup is not killed but stalls, so
// that is a limit as well.
func memoryLimit(root fs.FS) (limit Size, at string) {
	for _, hierarchy := range ownFolders(root, "memory") {
		for _, dir := range hierarchy.dirs {
			if n, ok := limitOf(root, dir, hierarchy.v2); ok && (at == "" || n < limit) {
				limit, at = n, dir
			}
		}
	}
	return limit, at
}

// limitOf returns the memory limit of one cgroup.
func limitOf(root fs.FS, dir string, v2 bool) (limit Size, ok bool) {
	names := []string{"memory.limit_in_bytes"}
	if v2 {
		names = []string{"memory.max", "memory.high"}
	}
	for _, name := range names {
		// "max" is no number, and what version 1 has for it is absurdly large.
		n, err := strconv.ParseInt(strings.TrimSpace(contents(root, path.Join(dir, name))), 10, 64)
		if err == nil && n > 0 && n < int64(maxSize) && (!ok || Size(n) < limit) {
			limit, ok = Size(n), true
		}
	}
	return limit, ok
}

// oomGroup returns the folder of the cgroup of which the kernel kills all
// processes when memory runs out, "" if it kills only one: the topmost with
// memory.oom.group (cgroups v2) between the own cgroup and the highest ancestor
// that has a limit.
func oomGroup(root fs.FS) (at string) {
	for _, hierarchy := range ownFolders(root, "memory") {
		if !hierarchy.v2 {
			continue
		}
		group := ""
		for i, dir := range hierarchy.dirs {
			if strings.TrimSpace(contents(root, path.Join(dir, "memory.oom.group"))) == "1" {
				group = dir
			}
			limit := strings.TrimSpace(contents(root, path.Join(dir, "memory.max")))
			if i == 0 || limit != "" && limit != "max" {
				at = group
			}
		}
	}
	return at
}
