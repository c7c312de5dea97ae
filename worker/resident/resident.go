//go:build linux

// Package resident is about what a process has in memory of the program that it runs:
// for a master or a front, which does little for long, more than all else.
package resident

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Trim gives back memory that this process had use for and has no more, as
// malloc_trim(3) does: what is free of the heap, and the pages of the program and its
// libraries, of which a start touches nearly all. Those stay in the page cache, from
// where the few that are needed again come back without any input or output; the
// kernel is free to drop the rest. What cannot be given back is kept.
//
// It takes a few milliseconds of another processor, if there is one.
func Trim() {
	debug.FreeOSMemory()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return // there is no /proc
	}
	for _, m := range unmodified(smaps) {
		// It fails for pages that somebody locked into memory.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_DONTNEED)
	}
}

// A mapping is a part of the address space.
type mapping struct{ begin, end uintptr }

// unmodified are the mappings in proc_pid_smaps(5) whose pages all are as in the file
// that they come from: private ones of files, never written to, not even by the loader
// for relocations.
func unmodified(smaps []byte) (found []mapping) {
	var last mapping
	file := false // last is a private one of a file, which cannot be written to
	for line := range bytes.Lines(smaps) {
		var m mapping
		var access, offset, device string
		var inode uint64
		// 00400000-009b6000 r-xp 00000000 fe:00 1234    /usr/bin/gosuper
		if n, _ := fmt.Sscanf(string(line), "%x-%x %s %s %s %d", &m.begin, &m.end, &access, &offset, &device, &inode); n == 6 {
			last, file = m, inode != 0 && access[1] == '-' && access[3] == 'p'
			continue
		}
		if size, ok := bytes.CutPrefix(line, []byte("Anonymous:")); ok && file && string(bytes.TrimSpace(size)) == "0 kB" {
			found = append(found, last)
		}
	}
	return found
}
