//go:build linux

package accesslog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What is written before there is a file waits, also over an upgrade, and no
// file is made or looked for meanwhile.
func TestLinesWaitForTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := New(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	fd, err := l.Open(1, "combined")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(testLine(1, 0, 150))); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Error(err)
	}
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	waitFor(t, "a pause", l.Pause())
	after := successor(t, l)
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is there already")
	}
	if err := after.Move(path); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(testLine(1, 1, 150))); err != nil {
		t.Fatal(err)
	}
	eventually(t, path, testLine(1, 0, 150)+testLine(1, 1, 150))
	after.Close()
}

// A file that could not be opened is tried again by Reopen, and one that never
// was is not waited for at the end.
func TestFirstFileFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	path := filepath.Join(dir, "access.log")
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder that is missing: %v", err)
	}
	if err := l.Move(path); err == nil {
		t.Fatal("a file in a folder that is not there was opened")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	l.Close()

	if err := Check(dir); err == nil {
		t.Error("a folder can be appended to")
	}
	if l, err = New(nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a pause", l.Pause())
	l.Close()
	if err := l.Move(path); err != os.ErrClosed {
		t.Errorf("moved after its end: %v", err)
	}
}
