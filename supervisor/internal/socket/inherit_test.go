//go:build linux

package socket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// helperInherit is a master under socket activation: it prints what it got, and answers one connection on each socket.
func helperInherit() {
	s, _, err := Inherit(os.Environ(), Options{})
	if err != nil || s == nil {
		fmt.Println("cannot inherit:", err)
		return
	}
	fmt.Println(s.Names(0), s.URLs())
	for _, fd := range s.Fds(0) {
		flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		status, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		fmt.Println("cloexec", flags&unix.FD_CLOEXEC != 0, "nonblock", status&unix.O_NONBLOCK != 0)
	}
	for _, fd := range s.Fds(0) {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil {
			fmt.Println(err)
			return
		}
		conn, _, err := unix.Accept(fd)
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := unix.Write(conn, []byte("hello")); err != nil {
			fmt.Println(err)
		}
		unix.Close(conn)
	}
	if err := s.Close(); err != nil {
		fmt.Println(err)
	}
}

func TestInheritFromSystemd(t *testing.T) {
	helpersUsed["inherit"] = true
	activate := tool(t, "systemd-socket-activate")
	path := t.TempDir() + "/s"
	free := mustOpen(t, Options{}, "127.0.0.1:0")
	address := strings.TrimPrefix(free.URLs()[0], "tcp://")
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), activate, "-E", helperVariable+"=inherit", "-E", noExitSleep, "-l", address, "-l", path, "--fdname=web:local", self)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	for range 2 { // "Listening on ADDRESS as N."
		if line, err := log.ReadString('\n'); err != nil || !strings.Contains(line, "Listening") {
			t.Fatalf("%q, %v", line, err)
		}
	}
	for _, url := range []string{"tcp://" + address, "unix://" + path} {
		greeting, err := io.ReadAll(mustDial(t, url))
		if err != nil || string(greeting) != "hello" {
			t.Errorf("%s: %q, %v", url, greeting, err)
		}
	}
	output, err := io.ReadAll(stdout)
	want := fmt.Sprintf("[web local] [tcp://%s unix://%s]\ncloexec true nonblock true\ncloexec true nonblock true\n", address, path)
	if err != nil || string(output) != want {
		t.Errorf("got %q, want %q, %v", output, want, err)
	}
	io.Copy(io.Discard, log)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the path, which is not ours, is gone: %v", err)
	}
}

// helperValidate inherits as many sockets as its argument says, as if from systemd.
func helperValidate() {
	s, _, err := Inherit(append(os.Environ(), fmt.Sprintf("LISTEN_PID=%d", os.Getpid())), Options{})
	if e, ok := errors.AsType[*Error](err); ok {
		fmt.Printf("%v / %s\n", e, e.Hint)
		return
	}
	fmt.Println(s.Len(), s.Names(0), err)
}

func TestInheritChecksWhatIsPassed(t *testing.T) {
	good := listen(t, "127.0.0.1:0").Fds(0)[0]
	bound := mustOpen(t, Options{}, "127.0.0.1:0").Fds(0)[0]
	datagram, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(datagram)
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	for _, c := range []struct {
		fds  []int
		env  string
		want string
	}{
		{[]int{good}, "LISTEN_FDS=1", "1 [bind0] <nil>"},
		{[]int{good, good}, "LISTEN_FDS=2 LISTEN_FDNAMES=a:b", "2 [a b] <nil>"},
		{[]int{good}, "LISTEN_FDS=1 LISTEN_FDNAMES=", "1 [bind0] <nil>"},
		{[]int{good}, "LISTEN_FDS=1 LISTEN_FDNAMES=a:b", "LISTEN_FDNAMES has 2 names for 1 sockets"},
		{[]int{good, bound}, "LISTEN_FDS=2 LISTEN_FDNAMES=a:b", `descriptor 4 ("b") of LISTEN_FDS: it is a stream socket, but does not listen / a socket unit`},
		{[]int{datagram}, "LISTEN_FDS=1", "not a stream socket"},
		{[]int{null}, "LISTEN_FDS=1", "it is not a socket"},
		{[]int{good}, "LISTEN_FDS=900", "descriptor"}, // not open, or something of the runtime's
		{[]int{good}, "LISTEN_FDS=x", "not a number"},
		{[]int{good}, "LISTEN_FDS=-1", "not a number"},
		{[]int{good}, "LISTEN_FDS=99999999", "not a number"},
		{[]int{good}, "LISTEN_FDS=0", "0 [] <nil>"},
		{[]int{good}, "LISTEN_FDS=", "0 [] <nil>"},
	} {
		if got := start(t, "validate", c.fds, strings.Fields(c.env)...).line(t); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.env, got)
		}
	}
}

func TestInheritIsForThisProcessOnly(t *testing.T) {
	for _, env := range [][]string{
		nil,
		{"LISTEN_FDS=1"},
		{"LISTEN_FDS=1", "LISTEN_PID=1"},
		{"LISTEN_FDS=1", "LISTEN_PID="},
	} {
		if s, _, err := Inherit(slices.Clone(env), Options{}); s != nil || err != nil {
			t.Errorf("%q: %v, %v", env, s, err)
		}
	}
}
