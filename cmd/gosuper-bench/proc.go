//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 wherever Go
// runs on Linux.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat says of a process, proc(5).
type stat struct {
	pid, parent int
	zombie      bool
	cpu         time.Duration // its own, and that of its children it has waited for
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The name, in brackets, may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return stat{}, errors.New("cannot read /proc/PID/stat: too few fields")
	}
	s := stat{pid: pid, zombie: fields[0] == "Z"}
	s.parent, _ = strconv.Atoi(fields[1])
	for _, field := range fields[11:15] {
		n, _ := strconv.Atoi(field)
		s.cpu += time.Duration(n) * tick
	}
	return s, nil
}

// alive reports whether a process runs.
func alive(pid int) bool {
	s, err := readStat(pid)
	return err == nil && !s.zombie
}

// family returns the processes with these pids and all their descendants, each
// after its parent.
func family(pids ...int) []stat {
	names, _ := filepath.Glob("/proc/[0-9]*")
	all := map[int]stat{}
	children := map[int][]int{}
	for _, name := range names {
		pid, _ := strconv.Atoi(filepath.Base(name))
		if s, err := readStat(pid); err == nil {
			all[pid] = s
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	var found []stat
	for queue := slices.Clone(pids); len(queue) > 0; queue = queue[1:] {
		if s, ok := all[queue[0]]; ok {
			found = append(found, s)
			queue = append(queue, children[s.pid]...)
		}
	}
	return found
}

// cpuOf is the CPU time of a family since it began, the dead included.
func cpuOf(pids ...int) time.Duration {
	var sum time.Duration
	for _, s := range family(pids...) {
		sum += s.cpu
	}
	return sum
}

// wakeUps is how often the threads of the processes have begun to wait: a thread
// that sleeps and wakes up does so once.
func wakeUps(processes []stat) int {
	sum := 0
	for _, s := range processes {
		names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.pid))
		for _, name := range names {
			sum += number(name, "voluntary_ctxt_switches:")
		}
	}
	return sum
}

// memory is what the processes take, in bytes: all resident pages, and those with
// each shared page divided among its users.
func memory(processes []stat) (resident, proportional int) {
	for _, s := range processes {
		name := fmt.Sprintf("/proc/%d/smaps_rollup", s.pid)
		resident += number(name, "Rss:") << 10
		proportional += number(name, "Pss:") << 10
	}
	return resident, proportional
}

// number returns the number that follows a word at the beginning of a line, 0 if
// there is no such line or file.
func number(name, word string) int {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	for scanner := bufio.NewScanner(bytes.NewReader(text)); scanner.Scan(); {
		if rest, ok := strings.CutPrefix(scanner.Text(), word); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}
