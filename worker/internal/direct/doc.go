// Package direct does small reads and writes of sockets by system calls that the Go
// scheduler is not told of. It is for Linux; elsewhere, and with the race detector and
// the sanitizers, which learn from package syscall what was filled, [New] changes
// nothing.
//
// # What it gives
//
// Package net announces each of its calls to the scheduler, in case it blocks, though
// those on a socket of the poller never do. That is cheap by itself. But where threads
// share a processor the kernel often preempts one at the end of a call that has woken
// up the other end. To the scheduler that thread looks blocked: its monitor hands the
// thread's place among the running ones (its P) to another thread, and goes on looking
// every 20 µs for more of the kind. Of short requests a tenth of the processor time is
// spent on that.
//
// # What it takes
//
// A thread that the kernel preempts in an unannounced call keeps its P until it runs
// again. Other threads take over the goroutines that wait for that P, but not what only
// the P itself can do: whoever stops the world, as the garbage collector does twice in
// each collection, waits for it. But the kernel preempts threads in the middle of Go
// code just as well, and who gets done sooner keeps others waiting for less long: in 18
// pairs of runs the p99 of a server with direct streams was 0.64 of that of one without
// (quartiles 0.43 and 1.14), and the longest request 0.75 (0.59 and 1.16), where the
// client's own wait for a processor does not count
// (gosuper-bench --variant GOSUPERDEBUG=direct=0 even). With the writes announced, which
// are what wakes up the other end, and the reads direct, p99 was twice as long.
//
// A call of more than a few pages is announced, since copying takes its time and the
// kernel may have to find memory first. Of such calls there are few.
//
// # How to turn it off
//
// GOSUPERDEBUG=direct=0 in the environment of a process leaves all of this to package
// net. The variable is a list with commas, as GODEBUG is.
package direct

import (
	"net"
	"os"
	"slices"
	"strings"
	"sync"
)

// A Stream is what TCP and unix connections have in common.
type Stream interface {
	net.Conn
	CloseWrite() error
}

// New returns a stream that reads and writes the socket of s as package net would, with
// the same results and errors, or s itself if that is turned off or s has no socket.
// Waiting, deadlines, closing and all other methods stay those of s.
func New(s Stream) Stream {
	if !on() {
		return s
	}
	return wrap(s)
}

// on reports whether the environment does not turn this off.
var on = sync.OnceValue(func() bool {
	return !slices.Contains(strings.Split(os.Getenv("GOSUPERDEBUG"), ","), "direct=0")
})
