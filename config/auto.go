package config

import (
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// leastAuto is the number of workers that "auto" gives at least: with one, every
// crash and every replacement would leave nobody. Only memory is a reason for
// one alone. So many CPUs are counted where there is no quota.
const leastAuto = 2

// CountWorkers returns the number of workers on this machine, and why unless it is
// written: by the smallest CPU quota of the own cgroup and all its ancestors that
// can be seen from here, rounded up, which "auto" has be at least 2; without a
// quota by 2 CPUs. The number of cores is never looked at, which in a container is
// that of the host. Where WorkerMemory is set, so many workers, those of surge and spares
// must fit into the smallest memory limit as well; the warning, else "", says that
// not even one does. There are never more than leases.
//
// root is the file system of the machine, os.DirFS("/"). Whatever cannot be
// read sets no limit.
func (c *Config) CountWorkers(root fs.FS) (n int, why, warning string) {
	if c.Workers.Fixed() {
		return c.Workers.N, "", ""
	}
	n, why, warning = c.automatic(root)
	if most := c.WorkersMax; most > 0 && n > most {
		n, why = most, fmt.Sprintf("workers_max is %d", most)
	}
	if bounded, few := c.boundByLeases(n); few != "" {
		return bounded, few, warning
	}
	return n, why, warning
}

// automatic is the number of workers for the CPU quota and the memory limit.
func (c *Config) automatic(root fs.FS) (n int, why, warning string) {
	n, why = c.Workers.byQuota(root)
	if c.WorkerMemory == 0 {
		return n, why, ""
	}
	limit, at := memoryLimit(root)
	if at == "" {
		return n, why, ""
	}
	fits := func(n int) bool { return Size(n+c.Surge.Of(n)+c.Spares) <= limit/c.WorkerMemory }
	if fits(n) {
		return n, why, ""
	}
	for n > 1 && !fits(n) {
		n--
	}
	if !fits(n) {
		warning = fmt.Sprintf("the memory limit of %s (%s) has no room for one worker of %s", limit, at, c.WorkerMemory)
		if c.Surge.Of(n) > 0 {
			warning += " and its replacement beside it; surge = 0 stops a worker first"
		}
	}
	return n, fmt.Sprintf("the memory limit is %s (%s), for workers and surge of %s each", limit, at, c.WorkerMemory), warning
}

// byQuota is the number of workers for the CPU quota.
func (w Workers) byQuota(root fs.FS) (n int, why string) {
	cpus := leastAuto
	quota, at := cpuQuota(root)
	if math.IsInf(quota, 1) {
		why = "no CPU quota; set workers to the number you want"
		if !w.Auto {
			why = fmt.Sprintf("no CPU quota, so cpu is %d; set workers to the number you want", cpus)
		}
	} else {
		cpus = int(min(math.Ceil(quota), MaxWorkers))
		shown := strconv.FormatFloat(math.Round(quota*100)/100, 'f', -1, 64)
		why = fmt.Sprintf("the CPU quota is %s (%s)", shown, at)
	}
	if w.Auto {
		return max(cpus, leastAuto), why
	}
	return min(w.PerCPU*cpus+w.N, MaxWorkers), why
}

// cpuQuota returns the smallest quota, in CPUs, and the folder of its cgroup;
// +Inf if there is none.
func cpuQuota(root fs.FS) (quota float64, at string) {
	quota = math.Inf(1)
	for _, hierarchy := range ownFolders(root, "cpu") {
		for _, dir := range hierarchy.dirs {
			q, ok := readQuota(root, dir, hierarchy.v2)
			if ok && q < quota {
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

// An OOMCounter reads how many processes of the own cgroup the kernel has killed
// because memory ran out, whoever's limit it was. It is asked when a worker has
// died, before which the next one waits: so it remembers which files say it. It
// may not be used by several goroutines at the same time.
type OOMCounter struct {
	root  fs.FS
	own   string // /proc/self/cgroup, when the files were found
	files []string
}

// NewOOMCounter makes a counter for the machine with this root.
func NewOOMCounter(root fs.FS) *OOMCounter { return &OOMCounter{root: root} }

// Kills returns the number since the cgroup was made (memory.events in cgroup v2,
// memory.oom_control in v1); false if the kernel does not say.
func (c *OOMCounter) Kills() (n uint64, ok bool) {
	if own := contents(c.root, "proc/self/cgroup"); own != c.own || c.files == nil {
		c.own, c.files = own, nil
		for _, hierarchy := range ownFolders(c.root, "memory") {
			name := "memory.oom_control"
			if hierarchy.v2 {
				name = "memory.events"
			}
			if len(hierarchy.dirs) > 0 {
				c.files = append(c.files, path.Join(hierarchy.dirs[0], name))
			}
		}
	}
	for _, file := range c.files {
		for line := range lines(c.root, file) {
			if count, found := strings.CutPrefix(line, "oom_kill "); found {
				kills, err := strconv.ParseUint(count, 10, 64)
				if err == nil {
					return kills, true
				}
			}
		}
	}
	return 0, false
}
