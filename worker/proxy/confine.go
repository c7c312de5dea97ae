//go:build linux

package proxy

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// confinedName is the argv[0] of a process that becomes the program, within a limit of
// address space that is not the front's: most of what a front has of that it reserves
// without using it. The limit follows, then the file of the program, and its argv.
const confinedName = "gosuper: confined"

// spare is what the last steps of confine may need of memory: environment and arguments
// of any size that exec accepts would be 2 MiB.
const spare = 4 << 20

// confine becomes the program. It returns the exit status if it cannot.
func confine(args []string) int {
	if len(args) < 3 {
		return 2
	}
	limit, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return 2
	}
	environ := os.Environ()
	// Within the limit the kernel may give Go's runtime nothing more. What was freed
	// before is used again.
	runtime.KeepAlive(make([]byte, spare))
	runtime.GC()
	debug.SetGCPercent(-1)
	err = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: limit, Max: limit})
	if err == nil {
		err = syscall.Exec(args[1], args[2:], environ)
	}
	complain("cannot start the program within limits.as: %v", err)
	return exitOf(err)
}
