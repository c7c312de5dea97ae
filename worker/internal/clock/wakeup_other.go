//go:build !linux

package clock

func newWakeUp(ring func()) func(at int64) { return newTimer(ring) }
