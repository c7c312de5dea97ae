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
func (c *Config) CountWorkers(m Machine) (n int, why, warning string) {
	if c.Workers.Fixed() {
		return c.Workers.N, "", ""
	}
	n, why, warning = c.automatic(m)
	if most := c.WorkersMax; most > 0 && n > most {
		n, why = most, fmt.Sprintf("workers_max is %d", most)
	}
	if bounded, few := c.boundByLeases(n); few != "" {
		return bounded, few, warning
	}
	return n, why, warning
}

// automatic is the number of workers for the CPU quota and the memory limit.
func (c *Config) automatic(m Machine) (n int, why, warning string) {
	n, why = c.Workers.byQuota(m)
	if c.WorkerMemory == 0 {
		return n, why, ""
	}
	if !m.MemoryBounded() {
		return n, why, ""
	}
	fits := func(n int) bool { return Size(n+c.Surge.Of(n)+c.Spares) <= m.memory/c.WorkerMemory }
	if fits(n) {
		return n, why, ""
	}
	for n > 1 && !fits(n) {
		n--
	}
	if !fits(n) {
		warning = fmt.Sprintf("the memory limit of %s (%s) has no room for one worker of %s", m.memory, m.memoryAt, c.WorkerMemory)
		if c.Surge.Of(n) > 0 {
			warning += " and its replacement beside it; surge = 0 stops a worker first"
		}
	}
	return n, fmt.Sprintf("the memory limit is %s (%s), for workers and surge of %s each", m.memory, m.memoryAt, c.WorkerMemory), warning
}

// byQuota is the number of workers for the CPU quota.
func (w Workers) byQuota(m Machine) (n int, why string) {
	cpus := leastAuto
	if m.cpusAt == "" {
		why = "no CPU quota; set workers to the number you want"
		if !w.Auto {
			why = fmt.Sprintf("no CPU quota, so cpu is %d; set workers to the number you want", cpus)
		}
	} else {
		cpus = int(min(math.Ceil(m.cpus), MaxWorkers))
		shown := strconv.FormatFloat(math.Round(m.cpus*100)/100, 'f', -1, 64)
		why = fmt.Sprintf("the CPU quota is %s (%s)", shown, m.cpusAt)
	}
	if w.Auto {
		return max(cpus, leastAuto), why
	}
	return min(w.PerCPU*cpus+w.N, MaxWorkers), why
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
