//go:build linux

package resident

import (
	_ "net/http" // which makes a program of some size of this
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Of this program, all of which is in memory before, less than half is afterwards.
func TestTrim(t *testing.T) {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range unmodified(smaps) {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_POPULATE_READ); errno == unix.EINVAL {
			t.Skip("before Linux 5.14 a program cannot be read in at once")
		}
	}
	all := ofFiles(t)
	Trim()
	if rest := ofFiles(t); 2*rest > all {
		t.Errorf("%d KiB of the program are in memory, and of %d before", rest, all)
	}
}

// ofFiles is how much is in memory of the files that this process has mapped, in KiB.
func ofFiles(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "\nRssFile:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

func TestUnmodified(t *testing.T) {
	const smaps = `00400000-009b6000 r-xp 00000000 fe:00 1234                               /usr/bin/a b (deleted)
Size:               5848 kB
Anonymous:             0 kB
009b6000-00feb000 r--p 005b6000 fe:00 1234                               /usr/bin/a b (deleted)
Anonymous:             4 kB
00feb000-01067000 rw-p 00beb000 fe:00 1234                               /usr/bin/a b (deleted)
Anonymous:             0 kB
01067000-030ac000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
7f0000000000-7f0000001000 r--s 00000000 00:01 77                         /memfd:board (deleted)
Anonymous:             0 kB
7fb0aed6b000-7fb0aeec1000 r-xp 00026000 fe:00 99                         /usr/lib/libc.so.6
Anonymous:             0 kB
VmFlags: rd ex mr mw me 
7fffffffe000-7ffffffff000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x9b6000}, {0x7fb0aed6b000, 0x7fb0aeec1000}}
	if got := unmodified([]byte(smaps)); !slices.Equal(got, want) {
		t.Errorf("mappings %x, want %x", got, want)
	}
}
