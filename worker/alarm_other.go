//go:build unix && !linux

package worker

func newWakeUp(ring func()) func(at int64) { return newTimer(ring) }
