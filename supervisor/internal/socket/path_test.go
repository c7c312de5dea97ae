//go:build linux

package socket

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stale leaves a socket file that nobody holds, as a killed server does.
func stale(t *testing.T, path string) {
	t.Helper()
	fd, err := newSocket(unix.AF_UNIX)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestStalePathIsReplaced(t *testing.T) {
	dir := t.TempDir()
	stale(t, dir+"/s")
	s := listen(t, "unix:"+dir+"/s")
	mustDial(t, s.URLs()[0])
	if got := names(t, dir); got != "s" {
		t.Errorf("files: %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "" {
		t.Errorf("files left: %s", got)
	}
}

func TestPathsThatAreNotReplaced(t *testing.T) {
	type setup func(t *testing.T, path string)
	for name, c := range map[string]struct {
		setup   setup
		message string
		hint    string
	}{
		"live":                           {func(t *testing.T, path string) { listen(t, "unix:"+path) }, "in use by another process", "ss -lxp"},
		"bound, will listen in a moment": {func(t *testing.T, path string) { mustOpen(t, Options{}, "unix:"+path) }, "in use by another process", "ss -lxp"},
		"live, queue full": {func(t *testing.T, path string) {
			s := mustOpen(t, Options{Backlog: 1}, "unix:"+path)
			if err := s.Listen(); err != nil {
				t.Fatal(err)
			}
			mustDial(t, s.URLs()[0])
			mustDial(t, s.URLs()[0])
		}, "in use by another process", "ss -lxp"},
		"live datagram socket": {func(t *testing.T, path string) {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(fd) })
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
				t.Fatal(err)
			}
		}, "in use by another process", "ss -lxp"},
		"file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a socket", "remove the file"},
		"directory": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a socket", "remove the file"},
		"symlink to a stale socket": {func(t *testing.T, path string) {
			stale(t, path+".target")
			if err := os.Symlink(path+".target", path); err != nil {
				t.Fatal(err)
			}
		}, "not a socket", "remove the file"},
		"dangling symlink": {func(t *testing.T, path string) {
			if err := os.Symlink(path+".target", path); err != nil {
				t.Fatal(err)
			}
		}, "not a socket", "remove the file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/s"
			c.setup(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(mustParse(t, "unix:"+path), Options{})
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(e.Error(), c.message) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("error %v", err)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("the file is another one: %v", err)
			}
		})
	}
}

// The same socket by two paths: the second is our own, however it is written.
func TestOwnSocketByAnotherPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(dir, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	s, err := Open(mustParse(t, "unix:"+dir+"/s", "unix:"+dir+"/link/s"), Options{})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "this master's own") {
		t.Errorf("%v, %v", s, err)
	}
}

// Masters that start at the same time over the same stale file: one gets the path, and has it.
func TestStalePathIsReplacedOnce(t *testing.T) {
	for range 50 {
		dir := t.TempDir()
		stale(t, dir+"/s")
		var sets [8]*Set
		var wg sync.WaitGroup
		gate := make(chan struct{})
		for i := range sets {
			address := mustParse(t, "unix:"+dir+"/s")
			wg.Go(func() {
				<-gate
				s, err := Open(address, Options{})
				if err != nil {
					if _, ok := errors.AsType[*Error](err); !ok {
						t.Error(err)
					}
					return
				}
				sets[i] = s
			})
		}
		close(gate)
		wg.Wait()
		winners := 0
		for _, s := range sets {
			if s == nil {
				continue
			}
			winners++
			if there, err := identify(dir + "/s"); err != nil || there != s.entries[0].file {
				t.Errorf("the winner has lost its path: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if winners != 1 {
			t.Errorf("%d masters have the path", winners)
		}
		if got := names(t, dir); got != "" {
			t.Errorf("files left: %s", got)
		}
	}
}

// locked holds the lock on a directory until the function it returns is called.
func locked(t *testing.T, dir string) (unlock func()) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() { unix.Close(fd) })
	t.Cleanup(unlock)
	return unlock
}

// While another master is at it the stale file is left to that one.
func TestStalePathIsReplacedUnderLock(t *testing.T) {
	dir := t.TempDir()
	stale(t, dir+"/s")
	listen(t, "unix:"+dir+"/live")
	unlock := locked(t, dir)
	tried := make(chan error)
	go func() {
		_, err := Open(mustParse(t, "unix:"+dir+"/s"), Options{})
		tried <- err
	}()
	if err := os.Rename(dir+"/live", dir+"/s"); err != nil { // at once, so that there is no moment without a file
		t.Fatal(err)
	}
	unlock()
	if err := <-tried; !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("beside another master's: %v", err)
	}
}

// Who does nothing but hold the lock, as every user can, keeps no master from its path.
func TestLockOfStrangerHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	stale(t, dir+"/s")
	locked(t, dir)
	mustDial(t, listen(t, "unix:"+dir+"/s").URLs()[0])
}

func TestModeOfPath(t *testing.T) {
	for _, umask := range []int{0o077, 0o022, 0} {
		for _, mode := range []fs.FileMode{0, 0o600, 0o660, 0o777} {
			old := unix.Umask(umask)
			s := mustOpen(t, Options{Mode: mode}, "unix:"+t.TempDir()+"/s")
			unix.Umask(old)
			want := mode
			if mode == 0 {
				want = fs.FileMode(0o777 &^ umask)
			}
			info, err := os.Lstat(s.entries[0].path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("umask %o, mode %o: %o", umask, mode, info.Mode().Perm())
			}
		}
	}
}

func TestOwnerOfPath(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() != 0 {
		if _, err := Open(mustParse(t, "unix:"+dir+"/s"), Options{UID: os.Getuid() + 1}); !errors.Is(err, syscall.EPERM) {
			t.Errorf("gave the path away: %v", err)
		}
		if got := names(t, dir); got != "" {
			t.Errorf("files left: %s", got)
		}
		return
	}
	s := mustOpen(t, Options{UID: 65534, GID: 65533, Mode: 0o660}, "unix:"+dir+"/s")
	info, err := os.Lstat(dir + "/s")
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 65534 || st.Gid != 65533 || info.Mode().Perm() != 0o660 {
		t.Errorf("%d:%d %o", st.Uid, st.Gid, info.Mode().Perm())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCloseLeavesWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	s := listen(t, "unix:"+dir+"/s")
	if err := os.Remove(dir + "/s"); err != nil {
		t.Fatal(err)
	}
	stale(t, dir+"/s") // ext4 would give it the inode number of ours, were it not still open
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "s" {
		t.Errorf("files: %q", got)
	}
}

func TestPathLength(t *testing.T) {
	dir := t.TempDir()
	fits := dir + "/" + strings.Repeat("x", maxPath-len(dir)-1)
	mustDial(t, listen(t, "unix:"+fits).URLs()[0])
	relative := mustParse(t, "unix:"+strings.Repeat("x", maxPath-len(dir)))[0]
	_, err := Open([]Address{relative.In(dir)}, Options{})
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Error(), "107") || e.Hint == "" {
		t.Errorf("one byte too long: %v", err)
	}
}
