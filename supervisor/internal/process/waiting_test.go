//go:build linux

package process

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ways are the ways of waiting for a connection on a socket, and of not doing so.
var ways = map[string]func(fd int){
	"accept": func(fd int) {
		unix.SetNonblock(fd, false)
		unix.Accept(fd)
	},
	"poll": func(fd int) {
		poll(&unix.PollFd{Fd: 0, Events: unix.POLLPRI}, &unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	},
	"select": func(fd int) {
		var set unix.FdSet
		set.Set(fd)
		unix.Select(fd+1, &set, nil, nil, nil)
	},
	"epoll": func(fd int) {
		set := must(unix.EpollCreate1(0))
		unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN})
		unix.EpollWait(set, make([]unix.EpollEvent, 1), -1)
	},
	"package net": func(fd int) {
		must(must(net.FileListener(os.NewFile(uintptr(fd), ""))).Accept())
	},
	"paused epoll": func(fd int) {
		set := must(unix.EpollCreate1(0))
		unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{})
		unix.EpollWait(set, make([]unix.EpollEvent, 1), -1)
	},
	"poll of something else": func(int) { poll(&unix.PollFd{Fd: 0, Events: unix.POLLIN}) },
	"poll for an answer":     func(fd int) { poll(&unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT << 8}) },
	"nothing":                func(int) { select {} },
}

// poll waits on one thread for a pair at most, as poll(2) is called by others.
func poll(fds ...*unix.PollFd) {
	list := make([]unix.PollFd, len(fds))
	for i, fd := range fds {
		list[i] = *fd
	}
	unix.Poll(list, -1)
}

// roleWaiting waits on descriptor 4 in one of the ways, until its stdin ends.
func roleWaiting() {
	go ways[os.Getenv("WAY")](4)
	reportJSON(os.Getpid())
	must(io.Copy(io.Discard, os.NewFile(3, "")))
}

// listening returns two sockets and their inodes.
func listening(t *testing.T) (fds [2]int, inodes []uint64) {
	t.Helper()
	for i := range fds {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Listen(fd, 5); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		fds[i], inodes = fd, append(inodes, st.Ino)
	}
	return fds, inodes
}

// waiter starts a process, below a shell or not, that waits on the second of two
// sockets.
func waiter(t *testing.T, way string, fds [2]int, cred *Credential, wrapped bool) int {
	t.Helper()
	h := newHandshake(t)
	usedRoles.Store("waiting", true)
	spec := Spec{Path: "/proc/self/exe", Argv: []string{"waiting"}, Credential: cred}
	if wrapped {
		spec = sh("/proc/" + fmt.Sprint(os.Getpid()) + "/exe & wait")
	}
	spec.Env = append(roleEnviron("waiting"), "WAY="+way)
	spec.Files = []int{Null, h.childOut, 2, h.childIn, fds[1], fds[0]}
	pid := start(t, spec)
	h.started()
	var reported int
	h.json(t, &reported)
	return pid
}

// waiting looks at a process.
func waiting(t *testing.T, pid int, inodes []uint64, user *Credential) Waiting {
	t.Helper()
	var w Waiting
	Look([]Asked{{pid, inodes, user}}, nil, func(seen map[int]Waiting) { w = seen[0] })
	return w
}

func TestWaiting(t *testing.T) {
	for way := range ways {
		for _, wrapped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in a shell %t", way, wrapped), func(t *testing.T) {
				fds, inodes := listening(t)
				pid := waiter(t, way, fds, nil, wrapped)
				idle := strings.Contains(way, " ") && way != "package net" || way == "nothing"
				for begin := time.Now(); ; time.Sleep(time.Millisecond) { // between two looks
					w := waiting(t, pid, inodes, nil)
					if w.Unsure || w.On[0] || idle && w.On[1] {
						t.Fatalf("looks like %+v", w)
					}
					if w.On[1] || idle && time.Since(begin) > 100*time.Millisecond {
						break
					}
					if time.Since(begin) > testTimeout {
						t.Fatal("nobody seems to wait")
					}
				}
			})
		}
	}
}

// Root in a container has no CAP_SYS_PTRACE.
func TestWaitingOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start workers of another user")
	}
	fds, inodes := listening(t)
	nobody := &Credential{Uid: 65534, Gid: 65534}
	pid := waiter(t, "epoll", fds, nobody, false)
	runtime.LockOSThread() // and the thread ends with the test
	const capSysPtrace = 19
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	for _, set := range []*uint32{&caps[0].Effective, &caps[0].Permitted, &caps[0].Inheritable} {
		*set &^= 1 << capSysPtrace
	}
	if err := unix.Capset(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	if w := waiting(t, pid, inodes, nil); !w.Unsure || w.Any() {
		t.Errorf("as root it looks like %+v", w)
	}
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	for begin := time.Now(); ; time.Sleep(time.Millisecond) { // between two looks
		w := waiting(t, pid, inodes, nobody)
		if w.Unsure || time.Since(begin) > testTimeout {
			t.Fatalf("as its user it looks like %+v", w)
		}
		if slices.Equal(w.On, []bool{false, true}) {
			break
		}
	}
	if now, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); now != dumpable {
		t.Errorf("dumpable is %d, was %d", now, dumpable)
	}
	if uid, err := unix.SetfsuidRetUid(-1); err != nil || uid != 0 {
		t.Errorf("still acts as user %d, %v", uid, err)
	}
}

// What is gone waits for nothing, and what cannot be seen is not denied.
func TestWaitingOfNobody(t *testing.T) {
	_, inodes := listening(t)
	if w := waiting(t, 1<<30, inodes, nil); !w.Unsure || w.Any() {
		t.Errorf("a process that is not there looks like %+v", w)
	}
	pid := start(t, sh("exit 3"))
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if w := waiting(t, pid, inodes, nil); w.Any() {
		t.Errorf("a zombie looks like %+v", w)
	}
}

// Who keeps its reader waiting does so at its own expense.
func TestLookGoesOn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, inodes := listening(t)
	told := make(chan map[int]Waiting, 2)
	p := pass{
		asked: []Asked{{Sockets: inodes}, {Sockets: inodes}, {Sockets: inodes}},
		trees: []Tree{{start(t, sh("read x"))}, {os.Getpid()}, {start(t, sh("read x"))}},
		seen:  map[int]Waiting{}, told: func(seen map[int]Waiting) { told <- seen },
	}
	p.ports.mu.Lock() // where this process listens as well cannot be found out
	ended := make(chan struct{})
	go p.walk(ended)
	first := <-told
	second := <-told
	<-ended
	_, before := first[0]
	_, behind := second[2]
	if len(first) != 1 || !before || len(second) != 1 || !behind {
		t.Errorf("seen are %v, and then %v", first, second)
	}
	p.ports.mu.Unlock()
	late := <-told
	if w := late[1]; len(late) != 1 || !slices.Contains(w.Elsewhere, l.Addr().String()) {
		t.Errorf("when it let go: %+v", late)
	}
}

func BenchmarkLook(b *testing.B) {
	asked := []Asked{{PID: os.Getpid(), Sockets: []uint64{1, 2}}}
	for b.Loop() {
		Look(asked, nil, func(map[int]Waiting) {})
	}
}
