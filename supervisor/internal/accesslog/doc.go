//go:build linux

// Package accesslog is the master's side of the access log: a pipe into which all
// workers write, and one goroutine that copies whole lines from it to the file.
//
// Only the master opens the file, so rotating it concerns one process, and the
// workers need no right to it. A worker writes each line with one write(2) of at
// most PIPE_BUF bytes, which pipe(7) promises not to mix with those of others, to
// a descriptor that does not block: where the pipe is full the line is dropped,
// which the worker counts on its board, and no request waits for a disk.
//
// So there are two places where lines can be lost. A destination that takes
// nothing (a stopped reader of stdout) is waited for, the pipe fills up, and the
// workers drop. A destination that fails (a full disk) loses what is at hand,
// which is counted here: see [Log.Lost]. Neither ever holds up whoever calls the
// methods of a [Log].
//
// The lines of a worker that keeps the rules arrive as they were written. What a
// hostile one writes can be anything, but it comes out in lines of at most
// [MaxLine] bytes; a piece without a newline runs into the line that happens to
// come next, which no reader of one pipe can tell apart.
package accesslog
