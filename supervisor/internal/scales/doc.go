//go:build linux

// Package scales weighs workers: what memory they take, each with all its
// processes, for people to see and against the limits of their configuration,
// and whether the kernel killed one because there was none left.
//
// What the kernel counts for PSS takes time, and none of it can be had while the
// process hangs in a page fault, so each worker is measured by a goroutine of its
// own, which nobody waits for too long.
package scales
