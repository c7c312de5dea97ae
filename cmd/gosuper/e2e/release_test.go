//go:build linux

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A deployment moves a link: the folder gosuper was started in, by the name of the
// link, and a command in it are those of the new release after a reload.
func TestReleaseBehindLink(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	words := as("serve")
	link := filepath.Join(dir, "current")
	for _, release := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(dir, release), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(words[0], filepath.Join(dir, release, "app")); err != nil {
			t.Fatal(err)
		}
	}
	move := func(release string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := os.Symlink(release, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, link); err != nil {
			t.Fatal(err)
		}
	}
	move("v1")
	m := start(t, launch{
		before: []string{"sh", "-c", `cd "$LINK" && exec "$@"`, "sh"}, env: []string{"LINK=" + link},
		args: append([]string{"-b", "127.0.0.1:0", "-w", "1", "--ready", "notify", "--control", "off", "./app"}, words[1:]...),
	})
	m.wait(t, 0, "ready", nil)
	for _, release := range []string{"v1", "v2"} {
		move(release)
		m.reload()
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", m.workers()[0]))
		if want := filepath.Join(dir, release); err != nil || cwd != want {
			t.Errorf("the worker runs in %s, want %s: %v", cwd, want, err)
		}
	}
}

// Everybody may connect to a unix socket, as to a port, unless umask says who may
// not. The master's own umask does not count.
func TestUnixSocketMode(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	bind := fmt.Sprintf("bind = [\"unix:%s\"]", path)
	m := start(t, launch{before: []string{"sh", "-c", `umask 077 && exec "$@"`, "sh"}, config: config(bind)})
	m.wait(t, 0, "ready", nil)
	mode := func(want fs.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %v, want %v: %v", info.Mode(), want, err)
		}
	}
	mode(0o666)
	m.rewrite(config(bind, `umask = "007"`))
	m.reload()
	mode(0o770)
	m.rewrite(config(bind))
	m.reload()
	mode(0o666)
}
