//go:build linux

package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// other and third are users that this process is not.
const other, third = 1_234_567, 1_234_568

// world is a folder in which others have folders too.
type world struct {
	t   *testing.T
	dir string
}

func newWorld(t *testing.T) world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can have files of others")
	}
	w := world{t, t.TempDir()}
	w.file("mine", 0, 0o600)
	w.folder("theirs", other, 0o755)
	w.folder("theirs/ours", 0, 0o755)
	w.folder("tmp", 0, 0o777|unix.S_ISVTX)
	w.folder("anybody", 0, 0o777)
	w.folder("group", 0, 0o775)
	w.must(os.Chown(w.path("group"), 0, other))
	w.folder("anybody's", other, 0o777)
	w.folder("theirs/third", third, 0o755)
	return w
}

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

func (w world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) folder(name string, user int, mode uint32) {
	w.t.Helper()
	w.must(unix.Mkdir(w.path(name), 0o700))
	w.must(os.Lchown(w.path(name), user, user))
	w.must(unix.Chmod(w.path(name), mode))
}

func (w world) file(name string, user int, mode os.FileMode) {
	w.t.Helper()
	w.must(os.WriteFile(w.path(name), nil, 0o600))
	w.must(os.Chown(w.path(name), user, user))
	w.must(os.Chmod(w.path(name), mode))
}

func (w world) link(name, target string, user int) {
	w.t.Helper()
	w.must(os.Symlink(target, w.path(name)))
	w.must(os.Lchown(w.path(name), user, user))
}

func (w world) second(name, of string) {
	w.t.Helper()
	w.must(unix.Linkat(unix.AT_FDCWD, w.path(of), unix.AT_FDCWD, w.path(name), 0))
}

// open opens a path in all ways, and says which succeed: l(og), i(nput), p(id
// file), e(xecutable).
func (w world) open(path string) (ways string, errs []string) {
	w.t.Helper()
	note := func(way string, c io.Closer, err error) {
		if err != nil {
			errs = append(errs, err.Error())
			return
		}
		ways += way
		w.must(c.Close())
	}
	f, err := OpenInput(path)
	note("i", f, err)
	f, _, err = OpenProgram(path)
	note("e", f, err)
	before, _ := os.Lstat(path)
	for _, way := range []string{"l", "p"} {
		if before == nil {
			os.Remove(path)
		}
		if way == "p" {
			f, err = OpenPID(path)
		} else {
			var fd int
			if fd, err = OpenLog(path); err == nil {
				f = os.NewFile(uintptr(fd), path)
			}
			// Only opening shows whether somebody reads a FIFO.
			if checked := CheckLog(path); (checked == nil) != (err == nil) && !errors.Is(err, unix.ENXIO) {
				w.t.Errorf("%s: opening says %v, checking %v", path, err, checked)
			}
		}
		note(way, f, err)
	}
	return ways, errs
}

func TestOpen(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(world) string // returns the path, in the world
		want    string             // the ways in which it can be opened
		why     string             // an error that has to be among the others
	}{
		{"our own", func(w world) string { return "mine" }, "ilp", "is not executable"},
		{"a program", func(w world) string { w.file("x", 0, 0o755); return "x" }, "ielp", ""},
		{"a program of others", func(w world) string { w.file("x", other, 0o755); return "x" }, "il", "x belongs to user 1234567, who is not to be run as this one"},
		{"a program for all to write", func(w world) string { w.file("x", 0, 0o777); return "x" }, "il", "x may be written by others"},
		{"a program for a group to write", func(w world) string {
			w.file("x", 0, 0o775)
			w.must(os.Chown(w.path("x"), 0, other))
			return "x"
		}, "il", "x may be written by others"},
		{"a program in their folder", func(w world) string { w.file("theirs/x", 0, 0o755); return "theirs/x" }, "lp", "theirs/x could have been put there by others: "},
		{"a program below their folder", func(w world) string { w.file("theirs/ours/x", 0, 0o755); return "theirs/ours/x" }, "lp", "theirs is a folder of user 1234567"},
		{"a program where a group may write", func(w world) string { w.file("group/x", 0, 0o755); return "group/x" }, "ilp", "group may be written by others"},
		{"a program in a sticky folder", func(w world) string { w.file("tmp/x", 0, 0o755); return "tmp/x" }, "ielp", ""},
		{"a program moved to a sticky folder", func(w world) string { w.file("x", 0, 0o755); w.second("tmp/x", "x"); return "tmp/x" }, "", "tmp/x has 2 names"},

		{"new", func(w world) string { return "new" }, "lp", "no such file"},
		{"new in their folder", func(w world) string { return "theirs/new" }, "lp", "no such file"},
		{"new where all may write", func(w world) string { return "anybody/new" }, "lp", ""},
		{"new by a link", func(w world) string { w.link("l", "new", 0); return "l" }, "lp", ""},
		{"no folder", func(w world) string { return "no/new" }, "", "no such file"},
		{"below a file", func(w world) string { return "mine/new" }, "", "not a directory"},
		{"a folder", func(w world) string { return "theirs/ours" }, "", "is a directory"},

		{"our link", func(w world) string { w.link("l", "mine", 0); return "l" }, "ilp", ""},
		{"our absolute link", func(w world) string { w.link("l", w.path("mine"), 0); return "l" }, "ilp", ""},
		{"our link to a folder", func(w world) string { w.link("l", "theirs/..", 0); return "l/mine" }, "lp", "theirs is a folder of user"},
		{"our link in a sticky folder", func(w world) string { w.link("tmp/l", "../mine", 0); return "tmp/l" }, "ilp", ""},
		{"our link of two names", func(w world) string { w.link("l", "mine", 0); w.second("tmp/l", "l"); return "tmp/l" }, "", "it has 2 names"},
		{"our link in their folder", func(w world) string { w.link("theirs/l", "../mine", 0); return "theirs/l" }, "", "theirs is a folder of user 1234567"},
		{"our link below their folder", func(w world) string { w.link("theirs/ours/l", "../../mine", 0); return "theirs/ours/l" }, "", "which is not followed"},
		{"our link where all may write", func(w world) string { w.link("anybody/l", "../mine", 0); return "anybody/l" }, "", "anybody may be written by others"},
		{"our link where a group may write", func(w world) string { w.link("group/l", "../mine", 0); return "group/l" }, "ilp", "is not executable"},
		{"a program by our link where a group may write", func(w world) string {
			w.file("x", 0, 0o755)
			w.link("group/l", w.path("x"), 0)
			return "group/l"
		}, "ilp", "group may be written by others"},
		{"our link of two names where a group may write", func(w world) string { w.link("l", "mine", 0); w.second("group/l", "l"); return "group/l" }, "", "it has 2 names"},
		{"their link where a group may write", func(w world) string { w.link("group/l", "../mine", other); return "group/l" }, "", "is a link made by user"},
		{"their link", func(w world) string { w.link("theirs/l", "../mine", other); return "theirs/l" }, "", "theirs/l is a link made by user 1234567, which is not followed"},
		{"their link in a sticky folder", func(w world) string { w.link("tmp/l", "../mine", other); return "tmp/l" }, "", "is a link made by user"},
		{"their link in our folder", func(w world) string { w.link("l", "mine", other); return "l" }, "", "is a link made by user"},
		{"their link to a folder", func(w world) string { w.link("theirs/l", "..", other); return "theirs/l/mine" }, "", "is a link made by user"},
		{"our link to their link", func(w world) string { w.link("theirs/l", "../mine", other); w.link("l", "theirs/l", 0); return "l" }, "", "is a link made by user"},
		{"endless links", func(w world) string { w.link("l", "l", 0); return "l" }, "", "too many levels"},

		{"their file in our folder", func(w world) string { w.file("x", other, 0o644); return "x" }, "il", "x belongs to user 1234567"},
		{"their file in their folder", func(w world) string { w.file("theirs/x", other, 0o644); return "theirs/x" }, "il", ""},
		{"a file of a third in their folder", func(w world) string { w.file("theirs/x", third, 0o644); return "theirs/x" }, "", "belongs to user 1234568, who could have put it there"},
		{"a file of a third in his below theirs", func(w world) string { w.file("theirs/third/x", third, 0o644); return "theirs/third/x" }, "", "belongs to user"},
		{"their file where all may write", func(w world) string { w.file("anybody/x", other, 0o644); return "anybody/x" }, "", "belongs to user"},
		{"their file in theirs where all may write", func(w world) string { w.file("anybody's/x", other, 0o644); return "anybody's/x" }, "", "belongs to user"},
		{"their file in a sticky folder", func(w world) string { w.file("tmp/x", other, 0o644); return "tmp/x" }, "", "tmp may be written by others"},
		{"our file in their folder", func(w world) string { w.file("theirs/x", 0, 0o600); return "theirs/x" }, "lp", "could have been put there by others"},
		{"our file in a sticky folder", func(w world) string { w.file("tmp/x", 0, 0o600); return "tmp/x" }, "ilp", ""},
		{"our file where all may write", func(w world) string { w.file("anybody/x", 0, 0o600); return "anybody/x" }, "ilp", "is not executable"},
		{"a second name where all may write", func(w world) string { w.second("anybody/x", "mine"); return "anybody/x" }, "", "anybody/x has 2 names"},
		{"a second name in our folder", func(w world) string { w.second("x", "mine"); return "x" }, "il", "x has 2 names (hard links)"},
		{"a second name in their folder", func(w world) string { w.second("theirs/x", "mine"); return "theirs/x" }, "", "theirs/x has 2 names"},
		{"a second name in a sticky folder", func(w world) string { w.second("tmp/x", "mine"); return "tmp/x" }, "", "tmp/x has 2 names"},

		{"a device", func(w world) string { return "/dev/null" }, "il", "/dev/null is not a regular file"},
		{"a FIFO without a reader", func(w world) string { w.must(unix.Mkfifo(w.path("x"), 0o600)); return "x" }, "i", "no such device or address"},
		{"our descriptor by a link", func(w world) string {
			fd, err := unix.MemfdCreate("x", 0)
			w.must(err)
			w.t.Cleanup(func() { unix.Close(fd) })
			w.link("l", fmt.Sprintf("/proc/self/fd/%d", fd), 0)
			return "l"
		}, "il", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			path := test.prepare(w)
			if !filepath.IsAbs(path) {
				path = w.path(path)
			}
			ways, errs := w.open(path)
			if ways != test.want || !strings.Contains(strings.Join(errs, "\n"), test.why) {
				t.Errorf("it can be opened as %q, want %q and the error %q; errors:\n%s", ways, test.want, test.why, strings.Join(errs, "\n"))
			}
		})
	}
}

// What nobody can write, as Kubernetes mounts a ConfigMap, nobody has exchanged.
func TestReadOnlyFolder(t *testing.T) {
	w := newWorld(t)
	dir := w.path("anybody")
	w.file("anybody/x", 0, 0o644)
	w.link("anybody/l", "x", 0)
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	w.must(unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	f, err := OpenInput(filepath.Join(dir, "l"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// Only the very file is removed.
func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	f, err := OpenPID(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !IsAt(f, path) {
		t.Error("it is not where it was made")
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(f, path); err != nil || IsAt(f, path) {
		t.Errorf("removing what is not there: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("another file is gone: %v", err)
	}
	if err := Remove(f, path+".old"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".old"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
