package config

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Headroom is what is left of a memory limit.
type Headroom struct {
	Limit, Left Size
	At          string // folder of the cgroup that has it
}

// HeadroomOf returns what is left of the memory limit of the own cgroup, or of the ancestor
// that has the least left; false: no limit is known. A part of each limit is kept free, and
// what is cached of files counts as free, since the kernel drops that first. root is that of
// [ReadMachine].
func HeadroomOf(root fs.FS) (least Headroom, ok bool) {
	for _, hierarchy := range ownFolders(root, "memory") {
		for _, dir := range hierarchy.dirs {
			limit, bounded := limitOf(root, dir, hierarchy.v2)
			if !bounded {
				continue
			}
			h := Headroom{Limit: limit, Left: max(limit-limit/reservePart-usedOf(root, dir, hierarchy.v2), 0), At: dir}
			if !ok || h.Left < least.Left {
				least, ok = h, true
			}
		}
	}
	return least, ok
}

// usedOf returns what a cgroup and those below it take, but for the cache of files that the
// kernel has in its lists of what can be dropped: tmpfs is not there.
func usedOf(root fs.FS, dir string, v2 bool) Size {
	usage, total := "memory.usage_in_bytes", "total_"
	if v2 {
		usage, total = "memory.current", ""
	}
	used, err := strconv.ParseInt(strings.TrimSpace(contents(root, path.Join(dir, usage))), 10, 64)
	if err != nil {
		return 0
	}
	for line := range lines(root, path.Join(dir, "memory.stat")) {
		name, value, _ := strings.Cut(line, " ")
		if name != total+"inactive_file" && name != total+"active_file" {
			continue
		}
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
			used -= n
		}
	}
	return Size(max(used, 0))
}
