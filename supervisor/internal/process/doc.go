//go:build linux

// Package process is the master's hands on its children: it starts workers,
// hears of their end, ends their process groups, passes on what they write and
// keeps the last of it, and reads what memory they take. It decides nothing.
//
// [Start] forks the master's own binary, and the [shim] in it becomes the
// worker. That must happen on the main thread: a worker is asked to die with
// its master, and the kernel's idea of "parent" is the thread that forked.
// A Go program that wants this locks the main goroutine to the main thread in
// an init function and forks only from there.
//
// [Reap] is the only place that waits. It waits for everything, because the
// master adopts what its workers leave behind, so nothing else in the process
// may start children: os/exec would find its child's status gone.
//
// Descriptors are plain integers here on purpose. [os.File.Fd] switches its
// file to blocking mode, and that mode belongs to the open socket all workers
// share, so passing listeners through os.File makes every accept block.
//
// [shim]: https://pkg.go.dev/github.com/gosuper/gosuper/supervisor/internal/process/shim
package process
