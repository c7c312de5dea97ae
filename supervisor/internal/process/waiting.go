//go:build linux

package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Waiting is which of some sockets the processes of a worker wait on for
// connections, as far as that can be seen from outside.
type Waiting struct {
	// On says for each of the sockets whether somebody waits on it.
	On []bool
	// Unsure says that not all could be seen: sockets that nobody seems to wait on
	// may be waited on all the same.
	Unsure bool
	// Elsewhere is where they listen by TCP beside these sockets, such as
	// "127.0.0.1:9000", unless they wait on all of them. It is for a hint.
	Elsewhere []string
}

// Any says whether somebody waits on any of the sockets.
func (w Waiting) Any() bool {
	for _, on := range w.On {
		if on {
			return true
		}
	}
	return false
}

// waiting looks which of the sockets, named by their inodes, the processes of the
// tree wait on for connections. A process waits on a listening socket
//
//   - whose inode is in an epoll set that it has open and that asks for input: the
//     lines "tfd:" of /proc/PID/fdinfo/FD, which have the inode since Linux 4.13;
//   - in accept(2), poll(2), select(2) and their kin, of any of its threads:
//     /proc/PID/task/TID/syscall has the number of the call and its arguments, and
//     /proc/PID/mem the list of descriptors that those point to;
//   - or by an accept in an io_uring, of which /proc/PID/fdinfo/FD has the opcode
//     since Linux 5.10. Which socket it is meant for is not told, so all that the
//     process holds are taken for waited on; of a poll in an io_uring even less is.
//
// That a process holds the socket says nothing: all workers do from the start.
//
// It may be looked at who has the same user and group or CAP_SYS_PTRACE, which
// root lacks in a container; user, if it is not nil, is then the user as whom the
// look is taken again. /proc may be mounted with hidepid, seccomp or a kernel of
// another make may leave files out: what cannot be read makes the result unsure.
func (t Tree) waiting(sockets []uint64, user *Credential, p *ports) Waiting {
	w := look(t, sockets, p)
	if w.Unsure && !w.Any() && user != nil {
		as(user, func() { w = look(t, sockets, p) })
	}
	return w
}

// as runs f with the user and group of another process, as far as files are
// concerned: on this thread alone (setfsuid(2)). For the kernel that is a reason
// to forbid core dumps of the whole process, which is undone.
func as(user *Credential, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dumpable := dumpable()
	defer unix.Prctl(unix.PR_SET_DUMPABLE, dumpable, 0, 0, 0)
	// They have no errors: what they could not change they leave.
	gid, _ := unix.SetfsgidRetGid(int(user.Gid))
	defer unix.SetfsgidRetGid(gid)
	uid, _ := unix.SetfsuidRetUid(int(user.Uid))
	defer unix.SetfsuidRetUid(uid)
	f()
}

// dumpable is whether the process may dump core, as it was before the first look.
var dumpable = sync.OnceValue(func() uintptr {
	now, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil || now != 1 { // 2 cannot be set by anybody
		return 0
	}
	return 1
})

// look is one look at the processes of a tree.
func look(t Tree, sockets []uint64, p *ports) Waiting {
	l := looker{Waiting: Waiting{On: make([]bool, len(sockets))}, sockets: sockets, others: map[uint64]bool{}}
	for i, pid := range t {
		l.process("/proc/"+strconv.Itoa(pid), i == 0)
	}
	if slices.Contains(l.On, false) {
		l.Elsewhere = p.of(t[0], l.others)
	}
	return l.Waiting
}

// looker is a look in progress.
type looker struct {
	Waiting
	sockets []uint64
	others  map[uint64]bool // that the processes hold
	read    procReader
}

// process looks at one process. The first one is known to exist, if only as a
// zombie; any other may have gone.
func (l *looker) process(proc string, first bool) {
	links, err := readLinks(proc + "/fd")
	if err != nil {
		l.Unsure = l.Unsure || first || !errors.Is(err, fs.ErrNotExist)
		return
	}
	held := map[int]int{} // descriptors of ours, and which sockets they are
	for fd, link := range links {
		if inode, ok := socketInode(link); ok {
			if i := slices.Index(l.sockets, inode); i >= 0 {
				held[fd] = i
			} else {
				l.others[inode] = true
			}
		}
	}
	for fd, link := range links {
		info := proc + "/fdinfo/" + strconv.Itoa(fd)
		switch link {
		case "anon_inode:[eventpoll]":
			l.epoll(info)
		case "anon_inode:[io_uring]":
			if len(held) > 0 {
				l.uring(info, held)
			}
		}
	}
	if len(held) > 0 {
		l.threads(proc, held)
	}
}

// epoll looks into an epoll set.
func (l *looker) epoll(info string) {
	text, err := l.read.read(info)
	if err != nil || !showsEpoll() {
		l.Unsure = l.Unsure || !errors.Is(err, fs.ErrNotExist)
		return
	}
	for line := range bytes.Lines(text) {
		// tfd:        3 events:       19 data:                3  pos:0 ino:ecbf sdev:9
		if !bytes.HasPrefix(line, []byte("tfd:")) {
			continue
		}
		events, _ := hexAfter(line, "events:")
		inode, ok := hexAfter(line, "ino:")
		if !ok {
			l.Unsure = true
		}
		if i := slices.Index(l.sockets, inode); ok && i >= 0 && events&unix.EPOLLIN != 0 {
			l.On[i] = true
		}
	}
}

// showsEpoll says whether this kernel, or what takes the place of one, shows what
// is in an epoll set: the line of a socket in one of our own.
var showsEpoll = sync.OnceValue(func() bool {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(set)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}) != nil {
		return false
	}
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(set))
	if errors.Is(err, fs.ErrPermission) {
		// Before Linux 5.14 even one's own is root's alone after Conceal. Whoever
		// keeps it so closely is no substitute of a kernel.
		return true
	}
	_, line, _ := bytes.Cut(text, []byte("\ntfd:"))
	inode, ok := hexAfter(line, "ino:")
	return ok && inode == st.Ino
})

// uring looks at what an io_uring waits for.
func (l *looker) uring(info string, held map[int]int) {
	const opPollAdd, opAccept = 6, 13 // IORING_OP_*
	text, err := l.read.read(info)
	_, polls, listed := bytes.Cut(text, []byte("PollList:"))
	if err != nil || !listed {
		l.Unsure = true
		return
	}
	for line := range bytes.Lines(polls) {
		//   op=13, task_works=0
		_, op, found := bytes.Cut(line, []byte("op="))
		if !found {
			continue
		}
		digits, _, _ := bytes.Cut(op, []byte(","))
		switch n, _ := decimal(digits); n {
		case opAccept:
			for _, i := range held {
				l.On[i] = true
			}
		case opPollAdd:
			l.Unsure = true
		}
	}
}

// threads looks for threads that are blocked in a system call on a socket.
func (l *looker) threads(proc string, held map[int]int) {
	tasks := proc + "/task/"
	for _, tid := range numbers(tasks) {
		text, err := l.read.read(tasks + strconv.Itoa(tid) + "/syscall")
		if err != nil {
			_, gone := os.Stat(tasks + strconv.Itoa(tid))
			l.Unsure = l.Unsure || gone == nil
			continue
		}
		// Number of the call, its six arguments, stack and program counter; or
		// "running"; or -1 for one that is blocked elsewhere (proc_pid_syscall(5)).
		fields := strings.Fields(string(text))
		if len(fields) < 7 {
			continue
		}
		call, err := strconv.Atoi(fields[0])
		if err != nil {
			continue
		}
		var args [3]uint64
		for i := range args {
			args[i], _ = strconv.ParseUint(fields[1+i], 0, 64)
		}
		l.call(proc, call, args, held)
	}
}

// call looks what a system call waits for.
func (l *looker) call(proc string, call int, args [3]uint64, held map[int]int) {
	const most = 1 << 16 // bytes of a list of descriptors
	switch {
	case call == unix.SYS_ACCEPT || call == unix.SYS_ACCEPT4:
		if i, ok := held[int(int32(args[0]))]; ok {
			l.On[i] = true
		}
	case call == unix.SYS_PPOLL || call == sysPoll:
		// struct pollfd: an int and two shorts, the wanted and the found events.
		list := l.memory(proc, args[0], min(args[1]*8, most))
		for ; len(list) >= 8; list = list[8:] {
			fd, events := int(int32(binary.NativeEndian.Uint32(list))), binary.NativeEndian.Uint16(list[4:])
			if i, ok := held[fd]; ok && events&unix.POLLIN != 0 {
				l.On[i] = true
			}
		}
	case call == unix.SYS_PSELECT6 || call == sysSelect:
		set := l.memory(proc, args[1], min((args[0]+63)/64*8, most))
		for fd, i := range held {
			if word := fd / 64 * 8; uint64(fd) < args[0] && word+8 <= len(set) && binary.NativeEndian.Uint64(set[word:])>>(fd%64)&1 != 0 {
				l.On[i] = true
			}
		}
	}
}

// memory reads some memory of a process.
func (l *looker) memory(proc string, address, size uint64) []byte {
	if address == 0 || size == 0 {
		return nil
	}
	fd, err := unix.Open(proc+"/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		l.Unsure = true
		return nil
	}
	defer unix.Close(fd)
	b := make([]byte, size)
	n, err := unix.Pread(fd, b, int64(address))
	if err != nil {
		return nil // it waits no longer, and the memory is another's
	}
	return b[:n]
}

// readLinks returns where the descriptors of a folder /proc/PID/fd lead.
func readLinks(dir string) (map[int]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	links := make(map[int]string, len(names))
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		link, err := os.Readlink(dir + "/" + name)
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		links[fd] = link
	}
	return links, nil
}

// socketInode is the inode in "socket:[12345]".
func socketInode(link string) (uint64, bool) {
	number, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	return inode, err == nil
}

// hexAfter is the hexadecimal number that follows a key and blanks.
func hexAfter(line []byte, key string) (uint64, bool) {
	_, after, found := bytes.Cut(line, []byte(key))
	fields := bytes.Fields(after)
	if !found || len(fields) == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(fields[0]), 16, 64)
	return n, err == nil
}
