//go:build linux

package pidfile

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	path := t.TempDir() + "/pid"
	first, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "held by a running master") {
		t.Errorf("a held pid file gives %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the pid file of another master was removed: %v", err)
	}
	second.Close()
	if _, err := os.Stat(path); err == nil {
		t.Error("the own pid file was left behind")
	}
	if _, err := Open(t.TempDir() + "/missing/pid"); err == nil {
		t.Error("a pid file in a folder that does not exist was opened")
	}
}

// No file but that of a pid is emptied, or removed in the end.
func TestOfSomethingElse(t *testing.T) {
	tests := []struct {
		name, text string
		prepare    func(path string) error
		want       string // of the error; "": it is taken
	}{
		{"empty", "", nil, ""},
		{"a pid", "4711\n", nil, ""},
		{"a text", "root:x:0:0\n", nil, "is the file of something else: it has more than a pid in it"},
		{"numbers", "1\n2\n", nil, "has more than a pid in it"},
		{"a long number", strings.Repeat("1", 25), nil, "has more than a pid in it"},
		{"two names", "4711\n", func(path string) error { return os.Link(path, path+".2") }, "has 2 names (hard links)"},
		{"for all to write", "4711\n", func(path string) error { return os.Chmod(path, 0o666) }, "may be written by others"},
		{"of another user", "4711\n", func(path string) error { return os.Chown(path, 12345, -1) }, "belongs to user 12345"},
		{"a link of another user", "4711\n", func(path string) error {
			err := os.Rename(path, path+".2")
			if err == nil {
				err = os.Symlink(path+".2", path)
			}
			return errors.Join(err, os.Lchown(path, 12345, -1))
		}, "is a link made by user 12345, which is not followed"},
		{"a folder", "", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "is not a regular file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := t.TempDir() + "/pid"
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if test.prepare != nil {
				if err := test.prepare(path); errors.Is(err, os.ErrPermission) {
					t.Skip("only root can do that")
				} else if err != nil {
					t.Fatal(err)
				}
			}
			p, err := Open(path)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				p.Close()
				return
			}
			p.Close()
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it is %v, want the path and %q", err, test.want)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() && info.Size() != int64(len(test.text)) {
				t.Errorf("the file is %v, %v", info, err)
			}
		})
	}
}

// TestIsAFile: what else is there is neither waited for nor written to.
func TestIsAFile(t *testing.T) {
	path := t.TempDir() + "/pid"
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Open(path); err == nil {
		p.Close()
		t.Error("a FIFO is a pid file")
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("it is gone: %v", err)
	}
}
