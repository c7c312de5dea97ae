package process

import "fmt"

// MemoryKind says what a figure of memory counts.
type MemoryKind string

// The kinds. With PSS, a page that several processes share counts in parts, so
// that the figures of all workers add up to what they really take. It cannot
// be had of processes of another user without CAP_SYS_PTRACE, as for root in a
// container. RSS is the stand-in: what is resident and backed by no file or
// shared memory. Pages that a fork left shared count in full there.
const (
	PSS MemoryKind = "pss"
	RSS MemoryKind = "rss"
)

// A Tree is the processes of one worker as [Trees] found them: the worker, its
// descendants, and what else is in its session. They may be gone by now.
type Tree []int

// TreeMemory returns the memory in bytes of a worker and all its processes. It
// is RSS as soon as PSS cannot be had of one of them. The error says that none
// of them is alive any more, or is [errors.ErrUnsupported].
//
// The kernel walks the page tables of every process for PSS, which takes in the
// order of 25 ms for 1 GiB: this is nothing for a goroutine that others wait for.
func TreeMemory(pid int) (bytes uint64, kind MemoryKind, err error) {
	trees, err := Trees([]int{pid})
	if err != nil {
		return 0, "", err
	}
	return trees[0].Memory()
}

// errGone is the error of trees of which nobody is alive.
func (t Tree) errGone() error {
	return fmt.Errorf("cannot read the memory of a worker: none of its processes %v is alive", []int(t))
}
