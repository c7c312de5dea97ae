//go:build linux

package process

import "golang.org/x/sys/unix"

// Calls that later architectures do not have.
const (
	sysPoll   = unix.SYS_POLL
	sysSelect = unix.SYS_SELECT
)
