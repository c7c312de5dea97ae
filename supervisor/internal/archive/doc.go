//go:build linux

// Package archive keeps incidents as files in a folder, one each, for those who want to
// have them after the master has forgotten them, or is gone itself.
//
// An [Archive] writes nothing unless it is told a folder, and keeps no more files there than it
// is told. A file has its name only when it is whole; until then it has one that nobody
// can foresee, and no link of somebody else's is ever written through. What is in the folder beside the
// archive's own files stays as it is.
//
// A folder may be on a file server that does not answer. So another goroutine writes (see
// package loop), and what waits for it is bounded.
package archive
