//go:build unix && !linux

package process

// KillTree is [KillGroup]: who descends from a worker is not known here.
func KillTree(pid int) error { return KillGroup(pid) }
