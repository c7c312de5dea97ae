//go:build linux

package sealed

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNew: the text is there, and neither it nor its size can be changed, nor can it
// be made executable where the kernel can keep it from that.
func TestNew(t *testing.T) {
	const text = "a text"
	fd, err := New("gosuper-test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "sealed")
	defer f.Close()
	got := make([]byte, len(text)+1)
	if n, _ := f.ReadAt(got, 0); string(got[:n]) != text || !Is(fd) {
		t.Errorf("it holds %q, sealed %v", got[:n], Is(fd))
	}
	for what, err := range map[string]error{
		"write": func() error { _, err := f.WriteAt([]byte("b"), 0); return err }(),
		"grow":  f.Truncate(int64(len(text)) + 1), "shrink": f.Truncate(1),
	} {
		if !errors.Is(err, unix.EPERM) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("it is inherited: %v", err)
	}
	if other, err := unix.MemfdCreate("gosuper-test", unix.MFD_NOEXEC_SEAL); err == nil {
		unix.Close(other)
		if err := f.Chmod(0o700); !errors.Is(err, unix.EPERM) {
			t.Errorf("it can be made executable: %v", err)
		}
	}
}

// TestIs: a file is no such memory, nor is memory that can still change.
func TestIs(t *testing.T) {
	fd, err := unix.MemfdCreate("gosuper-test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if Is(fd) || Is(int(null.Fd())) || Is(-1) {
		t.Error("what can change counts as sealed")
	}
}
