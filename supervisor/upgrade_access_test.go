//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Versions in which all workers wrote to one pipe have left it to the next one.
func TestSuccessorOfASharedAccessLog(t *testing.T) {
	var ends [2]int
	err := unix.Pipe(ends[:])
	if err == nil {
		err = unix.SetNonblock(ends[0], true)
	}
	if err != nil {
		t.Fatal(err)
	}
	worker, err := unix.FcntlInt(uintptr(ends[1]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(worker)
	e := saved{master: newState()}
	left := fmt.Sprintf(`{"access": {"path": "x", "read_end": %d, "write_end": %d, "destination": -1, "waiting": true}, "access_lost": 2, "tally": {"heard": true}}`, ends[0], ends[1])
	descriptors, err := state.Read([]byte(left), &e, scoreboard.Epoch())
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range ends {
		if !slices.Contains(descriptors, fd) {
			t.Errorf("descriptor %d would not survive", fd)
		}
	}
	s := e.master
	s.files.Attach(ownfiles.Options{Logger: zap.NewNop(), Turns: func(string) accesslog.Turn { return nil }})
	s.files.Resume(e.access)
	if s.files.Access() == nil {
		t.Fatal("there is no access log")
	}
	path := filepath.Join(t.TempDir(), "access.log")
	if err := s.files.Access().Move(path); err != nil {
		t.Fatal(err)
	}
	line := `192.0.2.1 - - [02/Jan/2006:15:04:05 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 0.000123 0.000120 7 "-" ok` + "\n"
	if _, err := unix.Write(worker, []byte(line)); err != nil {
		t.Fatal(err)
	}
	if lost := s.books.Counters(0).AccessLinesDropped; lost == nil || *lost != 2 {
		t.Errorf("%v lines were lost before, want 2", lost)
	}
	s.files.Access().Close()
	if text, err := os.ReadFile(path); string(text) != line {
		t.Errorf("the log has %q, %v", text, err)
	}
}
