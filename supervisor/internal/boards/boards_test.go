//go:build linux

package boards

import (
	"testing"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

func TestPage(t *testing.T) {
	var none, before, after Boards
	if none.Save(); none.PageFD() != -1 || none.Page != -1 {
		t.Errorf("there is a page: %+v", none)
	}
	none.Clear(0)
	none.Reopen(zap.NewNop())
	if before.Open(); before.PageFD() < 0 {
		t.Skip("no shared memory here")
	}
	before.Save()
	fd, err := unix.FcntlInt(uintptr(before.Page), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	after.Page = fd
	if after.Reopen(zap.NewNop()); after.PageFD() < 0 {
		t.Error("the next image has no page")
	}
	after.Clear(0)
}

// What is no board is done without, and not left open.
func TestAdopt(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	if Adopt(-1, zap.NewNop()) != nil || Adopt(pipe[0], zap.NewNop()) != nil {
		t.Error("there is a board")
	}
	if _, err := unix.FcntlInt(uintptr(pipe[0]), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("it is still open: %v", err)
	}
	if m := (&Boards{}).Create(zap.NewNop()); m == nil {
		t.Skip("no shared memory here")
	} else {
		m.Close()
	}
}
