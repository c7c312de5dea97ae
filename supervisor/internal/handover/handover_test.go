//go:build linux

package handover

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWriteAndRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	kept, unwanted := int(r.Fd()), int(w.Fd())
	fd, err := Write([]byte(`{"answer":42}`), []int{kept, unwanted})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Pwrite(fd, []byte("x"), 0); err == nil {
		t.Error("the state can be changed")
	}
	s, err := Read(fd, os.Getpid())
	if err != nil || string(s.Master) != `{"answer":42}` {
		t.Fatalf("read %+v, %v", s, err)
	}
	if err := closeOnExec(s.Descriptors, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt([]int{kept}); err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(kept), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor that is kept: %#x, %v", flags, err)
	}
	if _, err := unix.FcntlInt(uintptr(unwanted), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor that is not wanted: %v", err)
	}
	w.Close() // its number is nobody's
}

func TestReadRefuses(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, fd := range []int{0, int(null.Fd()), fd, 1 << 20} {
		if _, err := Read(fd, os.Getpid()); err == nil {
			t.Errorf("descriptor %d was read", fd)
		}
	}
}

// An exec that fails leaves descriptors and mask as they were.
func TestExecFails(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := Write([]byte("1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	folder, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(folder)
	asked := false
	err = Exec(folder, []string{"x"}, nil, fd, nil, func() []syscall.Signal { asked = true; return nil })
	signal.Reset(ignored...)
	if !errors.Is(err, unix.EACCES) || !asked {
		t.Errorf("executing a folder: %v; asked for signals: %v", err, asked)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor of the state: %#x, %v", flags, err)
	}
	var mask unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &mask); err != nil || mask.Val[0] != 0 {
		t.Errorf("mask %#x, %v", mask.Val[0], err)
	}
	if err := Exec(folder, []string{"true"}, nil, fd, []int{1 << 20}, nil); !errors.Is(err, unix.EBADF) {
		t.Errorf("keeping a descriptor that is not there: %v", err)
	}
}
