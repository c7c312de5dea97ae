//go:build linux

// Package preload keeps the loaders of a master: processes that have loaded the
// application of a revision, and from which its workers are forked. There is one for a
// revision at most, for as long as the brain wants it.
//
// How a loader is asked, and what it answers, is package loader. Here is what it is to
// the master: a process like any other, which is started, says that it is ready, hangs,
// is killed and explains its end. Of a pid that it tells no more is believed than the
// kernel says.
package preload
