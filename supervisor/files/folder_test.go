//go:build linux

package files

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOpenFolder: one that is not there is made, and what is not a folder of ours is
// none.
func TestOpenFolder(t *testing.T) {
	above := t.TempDir()
	file, link, loop := filepath.Join(above, "file"), filepath.Join(above, "link"), filepath.Join(above, "loop")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{link: above, loop: loop} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	for path, ok := range map[string]bool{
		filepath.Join(above, "new"): true, above: true, link: true, "/": true,
		file: false, loop: false, filepath.Join(above, "no", "new"): false,
	} {
		f, err := OpenFolder(path)
		if (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			f.Close()
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make a folder of others")
	}
	theirs := filepath.Join(above, "theirs")
	if err := os.Mkdir(theirs, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(theirs, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(above, filepath.Join(theirs, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(filepath.Join(theirs, "link"), 12345, 12345); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{theirs, filepath.Join(theirs, "link"), filepath.Join(theirs, "link", "x")} {
		if f, err := OpenFolder(path); err == nil {
			f.Close()
			t.Errorf("%s is opened", path)
		}
	}
}
