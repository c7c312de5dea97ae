//go:build linux

package process

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestStartGives(t *testing.T) {
	dir := t.TempDir()
	mask := 0o027
	_, w := newPipe(t)
	defer unix.Close(w)
	spec := sh(`echo "$0 $1"; echo "$$ $LISTEN_PID"; cut -d' ' -f4,5 /proc/$$/stat; pwd; umask; echo "$EMPTY|$GODEBUG|$GOMAXPROCS"
		ls /proc/self/fd | tr '\n' ' '; echo; readlink /proc/self/fd/0`)
	spec.Argv = append(spec.Argv, "zero", "one")
	spec.Env = append(spec.Env, "LISTEN_PID=0", "EMPTY=", "GODEBUG=inittrace=1,gctrace=1", "GOMAXPROCS=7")
	spec.Dir, spec.Umask = dir, &mask
	// Descriptors that leak into a worker keep sockets open that were closed.
	leak, err := unix.Dup(w)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	spec.Files = []int{Null, w}
	text, status := outputOf(t, spec)
	if status != (Status{}) {
		t.Errorf("ended with %v", status)
	}
	got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	pid := lastStarted
	want := []string{
		"zero one",
		fmt.Sprintf("%d %d", pid, pid),
		fmt.Sprintf("%d %d", os.Getpid(), pid), // parent and group
		dir,
		"0027",
		"|inittrace=1,gctrace=1|7",
		"0 1 2 3 4 ", // 3 was given, 4 is ls reading the folder
		"/dev/null",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestStartKeepsArguments(t *testing.T) {
	text, _ := outputOf(t, Spec{Path: "/usr/bin/printf", Argv: []string{"printf", "%s|", "", "a=b", "=", "7=x", "ü\n"}})
	if want := "|a=b|=|7=x|ü\n|"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	text, _ = outputOf(t, Spec{Path: "/usr/bin/env", Env: []string{"A=1", "A=2", "=", "novalue", "7=x", "GOSUPER_EXEC=y"}})
	if want := "A=1\nA=2\n=\nnovalue\n7=x\nGOSUPER_EXEC=y\n"; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

func TestStartOnMainThreadOnly(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := Start(Spec{Path: "/bin/true"})
	if err == nil {
		await(t, pid)
		t.Fatal("Start worked on another thread than the main one")
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	loader, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	foreign := slices.Clone(loader)
	foreign[18], foreign[19] = 2, 0 // e_machine: SPARC
	missing := filepath.Join(dir, "missing")
	for _, c := range []struct {
		name, path, dir string
		cred            *Credential
		code            int
		text            string
	}{
		{"missing", missing, "", nil, 127, "exec " + missing + ": no such file or directory\n"},
		{"below a file", file("file", "", 0o644) + "/x", "", nil, 127, "exec " + dir + "/file/x: not a directory\n"},
		{"folder", dir, "", nil, 126, "exec " + dir + ": permission denied\ngosuper: hint: it is a folder\n"},
		{"not executable", file("plain", "#!/bin/sh\n", 0o644), "", nil, 126, "permission denied\ngosuper: hint: it is not executable: chmod +x " + dir + "/plain\n"},
		{"no first line", file("script", "echo hello\n", 0o755), "", nil, 126, "exec format error\ngosuper: hint: it is no program for this architecture, and a script needs a first line like #!/bin/sh\n"},
		{"other architecture", file("foreign", string(foreign), 0o755), "", nil, 126, "exec format error\ngosuper: hint: it was built for another architecture\n"},
		{"no interpreter", file("python", "#!/nonexistent/python3\nimport x\n", 0o755), "", nil, 127, "the interpreter of its first line \"#!/nonexistent/python3\" is not\n"},
		{"carriage return", file("dos", "#!/bin/sh\r\nexit\r\n", 0o755), "", nil, 127, "the interpreter of its first line \"#!/bin/sh\\r\" is not\n"},
		{"no loader", file("musl", strings.ReplaceAll(string(loader), "/lib64/ld-linux", "/lib64/ld-nonex"), 0o755), "", nil, 127, "the dynamic loader it needs is not"},
		{"no folder", "/bin/true", missing, nil, 126, "chdir " + missing + ": no such file or directory\n"},
		{"folder of another user", "/bin/true", "/root/.", &Credential{Uid: 65534, Gid: 65534}, 126, "chdir /root/.: permission denied\ngosuper: hint: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cred != nil {
				needRoot(t)
				if info, err := os.Stat(c.dir); err != nil || info.Mode()&0o001 != 0 {
					t.Skip("needs a folder that is root's alone")
				}
			}
			text, status := outputOf(t, Spec{Path: c.path, Dir: c.dir, Credential: c.cred})
			if status != (Status{Code: c.code}) {
				t.Errorf("ended with %v, want exit status %d", status, c.code)
			}
			if !strings.HasPrefix(text, "gosuper: error: cannot start worker: ") || !strings.Contains(text, c.text) {
				t.Errorf("got  %q\nwant %q", text, c.text)
			}
		})
	}
}

func TestStartAsAnotherUser(t *testing.T) {
	needRoot(t)
	spec := Spec{
		Path: "/bin/grep", Argv: []string{"grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status"},
		Credential: &Credential{Uid: 65534, Gid: 65533, Groups: []uint32{65533, 7}},
	}
	text, status := outputOf(t, spec)
	want := "Uid: 65534 65534 65534 65534 Gid: 65533 65533 65533 65533 Groups: 7 65533"
	if got := strings.Join(strings.Fields(text), " "); got != want || status != (Status{}) {
		t.Errorf("got %q, want %q, and %v", got, want, status)
	}
	spec.Credential.Groups = nil
	text, _ = outputOf(t, spec)
	if !strings.HasSuffix(strings.TrimSpace(text), "Groups:") {
		t.Errorf("got %q, want no groups", text)
	}
}

// Passing a listener through os.File.Fd, as os/exec does, would make it
// blocking, and with it the accept of every other worker.
func TestStartLeavesListenerNonblocking(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := Null
	if err := conn.Control(func(f uintptr) { fd = int(f) }); err != nil {
		t.Fatal(err)
	}
	spec := sh("cat /proc/self/fdinfo/3")
	spec.Files = []int{Null, fd}
	text, _ := outputOf(t, spec)
	var pos, flags int
	if _, err := fmt.Sscanf(text, "pos:\t%d\nflags:\t%o", &pos, &flags); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the worker's listener is not non-blocking: %q %v", text, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the master's listener is not non-blocking any more: %#x %v", flags, err)
	}
}

// roleIgnoring is a master as nohup and a careless parent leave it: signals
// ignored and blocked.
func roleIgnoring() {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGUSR1)
	ignore := struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}{handler: 1}
	const realtime = 40 // a signal that the Go runtime does not touch
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, realtime, uintptr(unsafe.Pointer(&ignore)), 0, 8, 0, 0); errno != 0 {
		fatal(errno)
	}
	var set unix.Sigset_t
	for i := range set.Val {
		set.Val[i] = ^set.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
		fatal(err)
	}
	pid := must(Start(Spec{Path: "/bin/grep", Argv: []string{"grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"}, Files: []int{Null, 1, 2}}))
	must(wait(pid))
}

func TestStartResetsSignals(t *testing.T) {
	h := newHandshake(t)
	pid := startRole(t, "ignoring", []int{h.childIn, h.childOut, 2})
	h.started()
	for _, name := range []string{"SigBlk", "SigIgn"} {
		if got, want := h.line(t), name+":\t0000000000000000"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if status := await(t, pid); status != (Status{}) {
		t.Errorf("the master ended with %v", status)
	}
}

// Go raises the soft limit of open files in every process; workers that use
// select, or size a table by it, need the one that was set for them.
func TestStartKeepsFileLimit(t *testing.T) {
	h := newHandshake(t)
	// The shell lowers the limit before the master is the master.
	usedRoles.Store("master", true)
	spec := sh(`ulimit -S -n 333; exec /proc/` + fmt.Sprint(os.Getpid()) + `/exe master`)
	spec.Env = append(roleEnviron("master"), "SCRIPT=read x <&3; ulimit -S -n")
	spec.Files = []int{h.childIn, h.childOut, 2}
	pid := start(t, spec)
	h.started()
	var worker int
	h.json(t, &worker)
	if got := h.line(t); got != "333" {
		t.Errorf("the worker's limit is %s, want 333", got)
	}
	h.out.Close()
	if status := await(t, pid); status != (Status{}) {
		t.Errorf("the master ended with %v", status)
	}
}
