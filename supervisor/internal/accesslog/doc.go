//go:build linux

// Package accesslog is the master's side of the access log: a pipe for each worker,
// and one goroutine that copies whole lines from them to the file.
//
// Only the master opens the file, so rotating it concerns one process, and the
// workers need no right to it. A worker writes each line with one write(2) of at
// most [MaxLine] bytes to a descriptor that does not block: where its pipe is full
// the line is dropped, which the worker counts on its board, and no request waits
// for a disk.
//
// A pipe has one writer, so what a worker does to it (fills it, shrinks it, makes it
// block, writes half a line) it does to itself alone. The pipes are read in turn, a
// piece of each, so that one that is always full keeps nobody waiting, and no more
// than [Rate] is read from one of them: a worker that writes more finds its pipe
// full. It costs the master nothing then, and the worker its own lines.
//
// A line is passed on if it has the format that was asked for and names the worker
// whose pipe it came from; then every reader of the file finds the same fields in it.
// Bytes that a terminal could take for commands are written as numbers. All else is
// counted and left out: the file of the fleet is no place for what cannot be told
// apart from the lines of others. What an honest line says beside its worker is the
// worker's word.
//
// So there are three places where lines can be lost. A destination that takes
// nothing (a stopped reader of stdout) is waited for, the pipes fill up, and the
// workers drop. A destination that fails (a full disk) loses what is at hand, and a
// line that is not the worker's own is refused; both are counted here: see
// [Log.Lost]. None of it ever holds up whoever calls the methods of a [Log].
package accesslog
