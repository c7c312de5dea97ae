//go:build linux

package process

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Conceal closes this process to others of its user, workers among them, unless they
// have CAP_SYS_PTRACE: they can neither trace it nor read its memory or environment,
// nor take its descriptors (prctl(2), PR_SET_DUMPABLE, and ptrace(2), "Ptrace access
// mode checking"). The price is that it leaves no core file, and that its files in
// /proc are root's: what all may read there all still may, and a process its own
// /proc/self/fd and /proc/self/exe, but not /proc/self/environ.
//
// An exec opens it again, as the workers' does, who are to leave core files and to be
// looked at. Package shim closes it first of all in the next image of a master; up to
// there, for about a millisecond, that one is open.
func Conceal() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot close this process to others: %w", err)
	}
	return nil
}
