// Package filewatch tells which files below some folders change, for a
// developer whose server is to follow.
//
// A [Watcher] watches folders recursively, those that come later included, and
// delivers what changed in batches: the end of a batch is a moment of quiet, so
// that a checkout of a hundred files, or an editor that writes one file in four
// steps, is one batch. Nobody writes source code into caches, repositories and
// installed packages, so these are left out, and so are the files by which
// editors work ([Ignored]).
//
// A [Ledger] tells the changes that somebody made from those that a build made,
// which often writes into the tree it is made from. The kernel does not say who
// wrote, so the ledger goes by what builds do: they write the same files each
// time, and they do it while they run.
package filewatch
