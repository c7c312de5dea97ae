//go:build linux

package proxy

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetStart unmaps the pages of this program's code, most of which only the start has
// run and the kernel would count as this front's for good. What is run again is mapped
// again, from the page cache. Only code is: it is nowhere changed in memory.
func forgetStart() {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	here := reflect.ValueOf(forgetStart).Pointer()
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if _, err := fmt.Sscanf(line, "%x-%x r-xp", &from, &to); err == nil && from <= here && here < to {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED) // without it all is as before
			return
		}
	}
}
