//go:build linux

package process

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

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

// errGone is the error of trees of which nobody is alive.
func (t Tree) errGone() error {
	return fmt.Errorf("cannot read the memory of a worker: none of its processes %v is alive", []int(t))
}

// Trees finds the processes of each of the workers, in their order. Processes
// that come or go meanwhile may be missing. Below the same subreaper as the
// workers it finds also those whose parent has ended, if they stayed in the
// worker's session: nobody enters that from another, so that no worker can have
// another one pay for its memory. The others are workers whose processes nobody wants.
func Trees(workers []int, others ...int) ([]Tree, error) {
	var r procReader
	children := r.children
	if !r.listsChildren() {
		all, err := r.scan()
		if err != nil {
			return nil, err
		}
		children = func(pid int) []int { return all[pid] }
	}
	return plant(workers, others, children), nil
}

// plant makes the trees, given who the children of a process are.
func plant(workers, others []int, children func(pid int) []int) []Tree {
	lead := make(map[int]bool, len(workers)+len(others))
	for _, pid := range slices.Concat(workers, others) {
		lead[pid] = true
	}
	orphans := map[int][]int{} // by session, and by group
	for _, pid := range children(os.Getpid()) {
		if lead[pid] {
			continue
		}
		session, err := unix.Getsid(pid)
		if err != nil {
			continue
		}
		orphans[session] = append(orphans[session], pid)
		// A worker leads a group alone where an older version has started it.
		if group, err := unix.Getpgid(pid); err == nil && group != session {
			orphans[group] = append(orphans[group], pid)
		}
	}
	trees := make([]Tree, len(workers))
	for i, pid := range workers {
		t := append(Tree{pid}, orphans[pid]...)
		for next := 0; next < len(t); next++ {
			for _, child := range children(t[next]) {
				// A pid may be used again while we look.
				if !slices.Contains(t, child) {
					t = append(t, child)
				}
			}
		}
		trees[i] = t
	}
	return trees
}

// Resident returns the resident set of all processes together in bytes. Memory
// never exceeds it, and it costs a few microseconds for each of them.
func (t Tree) Resident() (bytes uint64) {
	var r procReader
	for _, pid := range t {
		resident, _, _ := r.statm(pid)
		bytes += resident
	}
	return bytes
}

// Private returns what is resident and backed by no file or shared memory, in
// bytes: the figure of kind RSS, at the price of Resident.
func (t Tree) Private() (bytes uint64, err error) {
	var r procReader
	alive := false
	for _, pid := range t {
		resident, shared, ok := r.statm(pid)
		bytes += resident - shared
		alive = alive || ok
	}
	if !alive {
		return 0, t.errGone()
	}
	return bytes, nil
}

// Memory returns the memory in bytes of all processes together. It is RSS as soon
// as PSS cannot be had of one of them. The error says that none of them is alive
// any more.
//
// The kernel walks the page tables of every process for PSS, which takes in the
// order of 25 ms for 1 GiB: this is nothing for a goroutine that others wait for.
func (t Tree) Memory() (bytes uint64, kind MemoryKind, err error) {
	var r procReader
	kind = PSS
	alive := false
	for _, pid := range t {
		if pss, ok := r.pss(pid); ok {
			bytes += pss
			alive = true
			continue
		}
		// It is gone, or its pages are not for our eyes.
		resident, shared, ok := r.statm(pid)
		if !ok {
			continue
		}
		bytes += resident - shared
		kind, alive = RSS, true
	}
	if !alive {
		return 0, "", t.errGone()
	}
	return bytes, kind, nil
}

// hertz is the unit of the times in /proc/PID/stat: USER_HZ, which is the same on
// all architectures that Go runs on.
const hertz = 100

// CPU returns the time that all processes together have had on a processor, with
// that of children who have ended and were waited for (proc_pid_stat(5)).
func (t Tree) CPU() (time.Duration, error) {
	var r procReader
	var ticks uint64
	alive := false
	for _, pid := range t {
		text, err := r.read("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		// From the third field on, behind the name: utime, stime, cutime and cstime
		// are the 14th to the 17th.
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) < 15 {
			continue
		}
		for _, field := range fields[11:15] {
			n, _ := decimal(field)
			ticks += n
		}
		alive = true
	}
	if !alive {
		return 0, t.errGone()
	}
	return time.Duration(ticks) * (time.Second / hertz), nil
}

// procReader reads small files below /proc into one buffer. With the system
// calls alone it is several times as fast as the os package, whose files ask
// the runtime's poller.
type procReader struct{ buf []byte }

// read returns the contents, valid until the next read. Most of these files
// are made anew for each read, so it takes as much as it can in one.
func (r *procReader) read(path string) ([]byte, error) {
	if r.buf == nil {
		r.buf = make([]byte, 4096)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for n := 0; ; {
		more, err := unix.Read(fd, r.buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, err
		case more == 0:
			return r.buf[:n], nil
		}
		if n += more; n == len(r.buf) {
			r.buf = append(r.buf, make([]byte, n)...)
		}
	}
}

// listsChildren says whether the kernel lists the children of a process
// (CONFIG_PROC_CHILDREN), which spares looking at all processes of the machine.
func (r *procReader) listsChildren() bool {
	return unix.Access("/proc/thread-self/children", unix.R_OK) == nil
}

// children returns the children of a process, those of all its threads: every
// one of them can fork, and adopt.
func (r *procReader) children(pid int) (all []int) {
	tasks := "/proc/" + strconv.Itoa(pid) + "/task"
	for _, thread := range numbers(tasks) {
		text, err := r.read(tasks + "/" + strconv.Itoa(thread) + "/children")
		if err != nil {
			continue
		}
		for _, word := range bytes.Fields(text) {
			if child, ok := decimal(word); ok {
				all = append(all, int(child))
			}
		}
	}
	return all
}

// scan returns the children of all processes there are.
func (r *procReader) scan() (map[int][]int, error) {
	pids := numbers("/proc")
	if len(pids) == 0 {
		return nil, fmt.Errorf("cannot find the processes of workers: there is no /proc")
	}
	all := map[int][]int{}
	for _, pid := range pids {
		text, err := r.read("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		// The name stands in parentheses and may contain anything; state and
		// parent follow (proc_pid_stat(5)).
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		if parent, ok := decimal(fields[1]); ok {
			all[int(parent)] = append(all[int(parent)], pid)
		}
	}
	return all, nil
}

// pss returns the proportional set of a process; false if it cannot be had,
// which includes that the process is gone (proc_pid_smaps(5)).
func (r *procReader) pss(pid int) (uint64, bool) {
	text, err := r.read("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0, false
	}
	_, after, found := bytes.Cut(text, []byte("\nPss:"))
	fields := bytes.Fields(after)
	if !found || len(fields) == 0 {
		return 0, false
	}
	kib, ok := decimal(fields[0])
	return kib << 10, ok
}

// statm returns the resident set of a process and how much of it is backed by
// files or shared memory; false if there is none, since it is gone or a zombie
// (proc_pid_statm(5)).
func (r *procReader) statm(pid int) (resident, shared uint64, ok bool) {
	text, err := r.read("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, 0, false
	}
	fields := bytes.Fields(text)
	if len(fields) < 3 {
		return 0, 0, false
	}
	resident, resOK := decimal(fields[1])
	shared, sharedOK := decimal(fields[2])
	page := uint64(os.Getpagesize())
	// The kernel sums both without a lock.
	shared = min(shared, resident)
	return resident * page, shared * page, resOK && sharedOK && resident > 0
}

// numbers returns the entries of a folder below /proc that are numbers.
func numbers(dir string) (list []int) {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // what was read before an error is as good
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// decimal reads a number without making a string of it.
func decimal(text []byte) (n uint64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, len(text) > 0
}
