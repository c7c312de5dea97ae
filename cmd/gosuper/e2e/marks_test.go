//go:build linux

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// markName is the variable in which all processes below a master carry its mark.
const markName = "E2E_MARK"

var marks atomic.Int64

// gone fails the test if a process below the master is there after so long. It
// returns how long it took for the last to go.
func (m *master) gone(limit time.Duration) time.Duration {
	m.t.Helper()
	begin := time.Now()
	for {
		left := marked(m.tag)
		took := time.Since(begin)
		if len(left) == 0 {
			return took
		}
		if took > limit {
			for pid, what := range left {
				m.t.Errorf("process %d is left after %v: %s", pid, limit, what)
				syscall.Kill(pid, syscall.SIGKILL)
			}
			return took
		}
		time.Sleep(5 * time.Millisecond) // between two looks: the end of orphans is told to the master alone
	}
}

// marked returns the processes with the mark and their commands.
func marked(mark string) map[int]string {
	found := map[int]string{}
	entry := []byte(markName + "=" + mark + "\x00")
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append(environ, 0), entry) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		cmdline, _ := os.ReadFile(filepath.Dir(path) + "/cmdline")
		found[pid] = strings.ReplaceAll(string(cmdline), "\x00", " ")
	}
	return found
}
