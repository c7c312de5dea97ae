package config

import "fmt"

// SizeAuto as MaxWorkerMemoryHard leaves the limit to what memory there is: see
// [Config.Memory].
const SizeAuto Size = -1

// What is left to the master of a memory limit, and to what the kernel counts
// beside the memory of workers: a part of it, and at least so much.
const (
	reservePart  = 20
	reserveLeast = 32 * MiB
)

// Memory is what the memory limit of a machine makes of a configuration.
type Memory struct {
	// Hard is above what a worker is killed: MaxWorkerMemoryHard, or what "auto"
	// means here; 0: it is not.
	Hard Size `state:"hard"`
	// Why says what an automatic Hard comes from, or why there is none; "": it is
	// not automatic.
	Why string `state:"-"`
	// Warnings are about what does not fit into the limit, and what the kernel does
	// then.
	Warnings []string `state:"-"`
}

// Memory finds out what the memory limit of a machine means for so many workers, and what
// an automatic MaxWorkerMemoryHard is: the limit less a reserve for the master, for
// each of the workers, those of surge and the spares alike. So all of them together never
// take more than there is, and one that does is killed by the master, alone.
func (c *Config) Memory(machine Machine, workers int) Memory {
	m := Memory{Hard: max(c.MaxWorkerMemoryHard, 0)}
	limit, at := machine.memory, machine.memoryAt
	reserve := reserveOf(limit)
	surge := c.Surge.Of(workers)
	all := c.processes(workers)
	switch {
	case c.MaxWorkerMemoryHard != SizeAuto:
		if tight := c.Overlap(machine, workers, m.Hard); tight != "" {
			m.Warnings = append(m.Warnings, tight)
		}
	case at == "":
		m.Why = "no memory limit of the own cgroup or an ancestor is known"
	default:
		m.Hard = max(limit-reserve, 0) / Size(workers+surge+c.Spares) / MiB * MiB
		m.Why = fmt.Sprintf("the memory limit is %s (%s), for %s and %s for the master", limit, at, all, inMiB(reserve))
		switch {
		case m.Hard == 0:
			m.Warnings = append(m.Warnings, fmt.Sprintf("max_worker_memory_hard = auto has no effect: the memory limit of %s (%s) has no room for %s and %s for the master",
				limit, at, all, inMiB(reserve)))
		case m.Hard <= c.MaxWorkerMemory:
			m.Warnings = append(m.Warnings, fmt.Sprintf("no worker is ever replaced gracefully for its memory: max_worker_memory (%s) is not below max_worker_memory_hard = auto, which is %s here, as %s",
				c.MaxWorkerMemory, m.Hard, m.Why))
		}
	}
	if dir := machine.together; dir != "" && m.Hard == 0 {
		cure := "max_worker_memory_hard has"
		if at != "" {
			cure = `max_worker_memory_hard = "auto" has`
		}
		m.Warnings = append(m.Warnings, fmt.Sprintf("out of memory the kernel kills all processes at once, the master too, whatever their oom_score_adj (memory.oom.group is 1 in %s, as Kubernetes sets it): %s the one worker killed before that takes too much",
			dir, cure))
	}
	return m
}

// Overlap says what does not fit into the memory limit of a machine, if each of so many workers takes what it may, while one is
// replaced or even when none is: "" if all fits, or if nothing bounds either. hard
// is the limit in force, 0: none.
func (c *Config) Overlap(machine Machine, workers int, hard Size) string {
	key, each := "max_worker_memory_hard", hard
	if each == 0 {
		key, each = "max_worker_memory", c.MaxWorkerMemory
	}
	limit, at := machine.memory, machine.memoryAt
	if each == 0 || at == "" {
		return ""
	}
	reserve := reserveOf(limit)
	surge, left := c.Surge.Of(workers), max(limit-reserve, 0)
	if Size(workers+surge+c.Spares) <= left/each {
		return ""
	}
	cure := fmt.Sprintf("at most %s each fit", inMiB(left/Size(workers+surge+c.Spares)))
	if Size(workers+c.Spares) <= left/each {
		cure += ", or surge = 0, which stops a worker before its replacement starts"
	}
	return fmt.Sprintf("the memory limit of %s (%s) has no room for %s that take %s = %s each, and %s for the master: %s",
		limit, at, c.processes(workers), key, each, inMiB(reserve), cure)
}

// reserveOf is what of a limit is not for workers.
func reserveOf(limit Size) Size { return max(limit/reservePart, reserveLeast) }

// processes are workers, spares, and those that are there while others are replaced.
func (c *Config) processes(workers int) string {
	text := times(workers, "worker")
	if c.Spares > 0 {
		text += " and " + times(c.Spares, "spare")
	}
	if surge := c.Surge.Of(workers); surge > 0 {
		text += fmt.Sprintf(", %d more while they are replaced,", surge)
	}
	return text
}

// inMiB rounds a size down for people.
func inMiB(s Size) Size { return max(s/MiB, 1) * MiB }
