//go:build linux

package socket

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// helperElsewhere mounts a folder of its own over the one it is told, in its own mount namespace, and binds a socket
// there; one that listens if it is told to.
func helperElsewhere() {
	dir := os.Getenv("ELSEWHERE")
	err := unix.Mount("none", dir, "tmpfs", 0, "")
	fd, socketErr := newSocket(unix.AF_UNIX)
	err = errors.Join(err, socketErr, unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "s")}))
	if os.Getenv("LISTENS") != "" {
		err = errors.Join(err, unix.Listen(fd, 1))
	}
	fmt.Println("bound", err)
	untilEOF()
}

// The path of a socket is a name in somebody's mount namespace: that another container has a socket of the same name
// is no obstacle.
func TestStaleBesideOtherNamespace(t *testing.T) {
	for _, listens := range []string{"", "yes"} {
		path := filepath.Join(t.TempDir(), "s")
		stale(t, path)
		helpersUsed["elsewhere"] = true
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), helperVariable+"=elsewhere", "ELSEWHERE="+filepath.Dir(path), "LISTENS="+listens, noExitSleep)
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if id := os.Getuid(); id != 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
			}
		}
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "bound <nil>\n" {
			t.Fatalf("the other namespace: %q, %v", line, err)
		}
		s := mustOpen(t, Options{}, "unix:"+path)
		if err := s.Listen(); err != nil {
			t.Error(err)
		}
		if fd := s.Fds(0)[0]; !boundTo(fd, path, mustIdentify(t, path)) {
			t.Error("the new socket is not the one of its own path")
		}
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// A socket that is bound, and will listen in a moment, is somebody's, wherever the kernel tells of files.
func TestBoundHere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := newSocket(unix.AF_UNIX)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if held, err := bound(path, mustIdentify(t, path)); !held || err != nil {
		t.Errorf("held: %v, %v", held, err)
	}
	all, err := listedSockets()
	if err != nil {
		t.Fatal(err)
	}
	listed := false
	for _, s := range all {
		listed = listed || s.path == path
	}
	if !listed {
		t.Error("it is not in /proc/net/unix")
	}
}

func mustIdentify(t *testing.T, path string) fileID {
	t.Helper()
	id, err := identify(path)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
