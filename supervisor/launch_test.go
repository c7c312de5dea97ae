//go:build linux

package supervisor

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/signals"
	"github.com/gosuper/gosuper/worker/protocol"
)

// TestOutfit: what a worker is given is data that says where everything is, and
// leaves nothing open here that is the worker's alone.
func TestOutfit(t *testing.T) {
	c := load(t, "workers = 2\nmax_requests = 9\nwatchdog = \"7s\"\n[log]\naccess_file = \"/dev/null\"\n")
	s, err := newSupervisor(Options{Config: c, Log: zap.NewNop(), Streams: toStderr{}, Environ: []string{"OWN=1"}}, hands{
		signals: signals.System(), adopted: nobody,
		oom: func() (uint64, bool) { return 0, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.revisions.current.sockets.Close()
	defer s.files.Access().Close()
	w := &worker{Identity: fleet.Identity{ID: 3, Slot: 1, Place: 2, Generation: 1}, revision: s.revisions.current, limit: 9}
	defer w.release()
	o, err := s.outfit(w)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, e := range o.env {
		name, value, _ := strings.Cut(e, "=")
		if _, twice := env[name]; twice {
			t.Errorf("%s is set twice", name)
		}
		env[name] = value
	}
	for name, want := range map[string]string{
		"OWN": "1", protocol.EnvListenFDs: "1", protocol.EnvListenFDNames: "bind0", protocol.EnvListenPID: "",
		protocol.EnvSlot: "1", protocol.EnvPlace: "2", protocol.EnvWorkerID: "3", protocol.EnvLimitRequests: "9", protocol.EnvWatchdog: "7000000",
	} {
		if got, set := env[name]; !set || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !slices.Equal(o.files[3:4], s.revisions.current.sockets.Fds(1)) || o.files[0] != process.Null {
		t.Errorf("it is given %v, want the sockets %v after its own three", o.files, s.revisions.current.sockets.Fds(1))
	}
	// Each of the others has a name, and is what that says.
	given := map[string]int{}
	for _, name := range []string{protocol.EnvNotifyFD, protocol.EnvScoreboardFD, protocol.EnvFleetFD, protocol.EnvAccessFD} {
		n, err := strconv.Atoi(env[name])
		if err != nil || n < 4 || n >= len(o.files) {
			t.Fatalf("%s is %q of %d descriptors", name, env[name], len(o.files))
		}
		given[name] = o.files[n]
	}
	if len(slices.Compact(slices.Sorted(maps.Values(given)))) != len(o.files)-4 {
		t.Errorf("the descriptors %v are named %v", o.files, given)
	}
	if given[protocol.EnvNotifyFD] != w.endpoint.ChildFd() || given[protocol.EnvScoreboardFD] != int(w.memory.File().Fd()) || given[protocol.EnvFleetFD] != s.boards.pageFd() {
		t.Errorf("the descriptors are mixed up: %v", given)
	}
	before := slices.Clone(o.files)
	if err := o.own(); err != nil {
		t.Fatal(err)
	}
	for i, fd := range o.files {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); (fd == process.Null) != (i == 0) || i > 0 && (fd == before[i] || err != nil) {
			t.Errorf("descriptor %d is no copy of %d: %v", fd, before[i], err)
		}
	}
	o.close()
	if _, err := unix.FcntlInt(uintptr(o.files[3]), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("a copy is still open: %v", err)
	}
	o.files = before
	stdout, stderr := w.fds()
	for _, fd := range []int{given[protocol.EnvNotifyFD], given[protocol.EnvAccessFD], stdout, stderr} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd >= 0 && err != unix.EBADF {
			t.Errorf("descriptor %d is still open: %v", fd, err)
		}
	}
	for _, fd := range []int{o.files[3], given[protocol.EnvScoreboardFD], given[protocol.EnvFleetFD]} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("descriptor %d, which others need, is gone: %v", fd, err)
		}
	}
}
