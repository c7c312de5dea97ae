//go:build linux

package socket

import (
	"os"
	"testing"
)

// TestClaim changes the mode of a socket's path, and leaves another's alone.
func TestClaim(t *testing.T) {
	path := t.TempDir() + "/s"
	a, err := Parse("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open([]Address{a}, Options{Backlog: 1, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if err := s.Claim(Options{Mode: 0o660}); err != nil || mode() != 0o660 {
		t.Errorf("mode %o, %v, want 660", mode(), err)
	}
	os.Remove(path)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Claim(Options{Mode: 0o600}); err != nil || mode() != 0o644 {
		t.Errorf("the file of another has mode %o, %v, want 644", mode(), err)
	}
}
