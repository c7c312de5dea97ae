//go:build unix && !linux

package supervisor

import "syscall"

// endsWithMaster is Linux's. Elsewhere only a terminal's Ctrl-C ends both.
func endsWithMaster() *syscall.SysProcAttr { return nil }
