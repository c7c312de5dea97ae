package filewatch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testTimeout is far more than anything takes.
const testTimeout = time.Minute

// tree is a folder that is being watched.
type tree struct {
	t    *testing.T
	root string
	*Watcher
}

// watchTree watches a folder with these files in it; those that end in / are
// folders.
func watchTree(t *testing.T, o Options, names ...string) *tree {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{t: t, root: root}
	for _, name := range names {
		tr.write(name)
	}
	if o.Paths == nil {
		o.Paths = []string{"."}
	}
	for i, path := range o.Paths {
		o.Paths[i] = filepath.Join(root, path)
	}
	for i, path := range o.Except {
		o.Except[i] = filepath.Join(root, path)
	}
	if o.Quiet == 0 {
		o.Quiet = 100 * time.Millisecond
	}
	o.Complain = func(err error) { t.Error(err) }
	if tr.Watcher, err = Open(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

func (tr *tree) path(name string) string { return filepath.Join(tr.root, name) }

func (tr *tree) write(name string) {
	tr.t.Helper()
	path := tr.path(name)
	folder := filepath.Dir(path)
	if strings.HasSuffix(name, "/") {
		folder = path
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if folder == path {
		return
	}
	if err := os.WriteFile(path, []byte(name), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

// expect waits until these files changed and sees that nothing else did. What is
// new has a + before its name.
func (tr *tree) expect(want ...string) {
	tr.t.Helper()
	// Something at last, so that nothing is missed that should not have come.
	tr.write("zz")
	want = append(want, "zz")
	var got []string
	for timeout := time.After(testTimeout); !slices.Contains(got, "zz"); {
		select {
		case batch := <-tr.Changes():
			for _, c := range batch {
				name, err := filepath.Rel(tr.root, c.Path)
				tr.must(err)
				if c.New && name != "zz" {
					name = "+" + name
				}
				got = append(got, name)
			}
		case <-timeout:
			tr.t.Fatalf("changed: %q, want %q", got, want)
		}
	}
	// What is new may have been written in several batches.
	got = slices.DeleteFunc(got, func(name string) bool { return slices.Contains(got, "+"+name) })
	slices.Sort(got)
	slices.Sort(want)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		tr.t.Errorf("changed: %q, want %q", got, want)
	}
}

func TestChanges(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*tree)
		want []string
	}{
		{"written", func(tr *tree) { tr.write("a.go") }, []string{"a.go"}},
		{"made", func(tr *tree) { tr.write("b.go") }, []string{"+b.go"}},
		{"removed", func(tr *tree) { tr.must(os.Remove(tr.path("a.go"))) }, []string{"a.go"}},
		{"moved", func(tr *tree) { tr.must(os.Rename(tr.path("a.go"), tr.path("b.go"))) }, []string{"+b.go", "a.go"}},
		{"replaced", func(tr *tree) { tr.write("x.tmp"); tr.must(os.Rename(tr.path("x.tmp"), tr.path("a.go"))) }, []string{"a.go"}},
		{"replaced by sed", func(tr *tree) { tr.write("sedX"); tr.must(os.Rename(tr.path("sedX"), tr.path("a.go"))) }, []string{"a.go"}},
		{"below", func(tr *tree) { tr.write("p/q/c.go") }, []string{"p/q/c.go"}},
		{"in new folders", func(tr *tree) { tr.write("new/er/est/d.go") }, []string{"+new/er/est/d.go"}},
		{"another mode", func(tr *tree) { tr.must(os.Chmod(tr.path("a.go"), 0o600)) }, nil},
		{"an empty folder", func(tr *tree) { tr.write("empty/") }, nil},
		{"a folder moved in", func(tr *tree) {
			outside := tr.t.TempDir()
			tr.must(os.WriteFile(filepath.Join(outside, "e.go"), nil, 0o644))
			tr.must(os.Rename(outside, tr.path("in")))
		}, []string{"+in/e.go"}},
		{"folders that do not count", func(tr *tree) {
			for _, folder := range []string{".git", "node_modules", "p/__pycache__", "venv", "target", ".venv/lib"} {
				tr.write(folder + "/f")
			}
		}, nil},
		{"new folders that do not count", func(tr *tree) {
			for _, folder := range []string{".hg", "p/node_modules", "p/q/__pycache__"} {
				tr.write(folder + "/f")
			}
		}, nil},
		{"files that do not count", func(tr *tree) {
			for _, name := range []string{".a.go.swp", "a.go~", ".#a.go", "#a.go#", "4913", "x.pyc", "app.log", "db.sqlite3-wal", "p/server-go-tmp-umask", "own.txt"} {
				tr.write(name)
			}
		}, nil},
		{"hidden files count", func(tr *tree) { tr.write(".env") }, []string{"+.env"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tr := watchTree(t, Options{Except: []string{"own.txt"}},
				"a.go", "p/q/c.go", ".git/f", "node_modules/f", "p/__pycache__/f", "venv/pyvenv.cfg", "venv/f", "target/CACHEDIR.TAG", "target/f", ".venv/lib/f")
			tc.do(tr)
			tr.expect(tc.want...)
		})
	}
}

// Where only some files count nothing is heard of the others, be they in folders
// that come later.
func TestOnly(t *testing.T) {
	tr := watchTree(t, Options{Only: []string{".py", "zz"}}, "a.py", "a.txt", "p/")
	tr.write("a.txt")
	tr.write("p/b.json")
	tr.write("later/c.txt")
	tr.write("later/d.py")
	tr.write("a.py")
	tr.write(".hidden.py.swp")
	tr.expect("a.py", "+later/d.py")
}

// Files of which nothing is to be heard may be named by way of a symlink, and be
// made later.
func TestExceptThroughSymlink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	tr := watchTree(t, Options{}, "a.go")
	tr.must(os.Symlink(tr.root, link))
	w, err := Open(Options{Paths: []string{link}, Except: []string{filepath.Join(link, "out.txt")}, Quiet: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	tr.must(tr.Close())
	tr.Watcher = w
	tr.write("out.txt")
	tr.write("a.go")
	tr.expect("a.go")
}

// Single files are followed when editors put another one in their place.
func TestSingleFile(t *testing.T) {
	tr := watchTree(t, Options{Paths: []string{"a.go", "zz"}}, "a.go", "zz", "b.go")
	tr.write("b.go")
	tr.write("new.go")
	tr.write("x.tmp")
	tr.must(os.Rename(tr.path("x.tmp"), tr.path("a.go")))
	tr.expect("a.go")
	tr.write("a.go")
	tr.expect("a.go")
}

// A folder that turns out to be a tool's is left alone from then on.
func TestNewVirtualEnvironment(t *testing.T) {
	tr := watchTree(t, Options{}, "env/a.py")
	tr.write("env/pyvenv.cfg")
	tr.expect()
	tr.write("env/a.py")
	tr.write("env/lib/b.py")
	tr.expect()
}

// What happens within a moment is one batch, also while nobody receives.
func TestBatch(t *testing.T) {
	tr := watchTree(t, Options{Quiet: 2 * time.Second, Most: time.Minute}, "a")
	for i := range 100 {
		tr.write(fmt.Sprint("n", i))
		tr.write("a")
	}
	select {
	case batch := <-tr.Changes():
		if len(batch) != 101 || !slices.IsSortedFunc(batch, func(a, b Change) int { return strings.Compare(a.Path, b.Path) }) {
			t.Errorf("%d changes in the first batch, want 101 in order", len(batch))
		}
	case <-time.After(testTimeout):
		t.Fatal("nothing changed")
	}
}

func TestCannotWatch(t *testing.T) {
	_, err := Open(Options{Paths: []string{"/does/not/exist"}})
	if e, ok := errors.AsType[*Error](err); !ok || e.Error() != "cannot watch /does/not/exist: lstat /does: no such file or directory" {
		t.Errorf("error %v", err)
	}
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "max_user_watches", syscall.EMFILE: "max_user_instances", syscall.EACCES: "",
	} {
		e := explain("/srv", fmt.Errorf("wrapped: %w", errno))
		if !strings.Contains(e.Hint, want) || (want == "") != (e.Hint == "") || !strings.HasPrefix(e.Error(), "cannot watch /srv: ") {
			t.Errorf("%v: %q, hint %q", errno, e, e.Hint)
		}
		t.Log(e, "|", e.Hint)
	}
}
