//go:build unix && !linux

package process

import "os"

// executable is a path here, so a binary replaced under a running master
// starts the next worker's shim from the new one.
func executable() (string, error) { return os.Executable() }

// onMainThread cannot tell, and need not: the death signal it protects is
// Linux's.
func onMainThread() bool { return true }
