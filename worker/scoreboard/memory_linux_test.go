package scoreboard

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// helpers are what this test binary does when it is started as a child.
var helpers = map[string]func() error{
	"worker":   helperWorker,
	"truncate": helperTruncate,
	"punch":    helperPunch,
	"unsealed": helperUnsealed,
}

func TestMain(m *testing.M) {
	name := os.Getenv("SCOREBOARD_TEST_HELPER")
	if name == "" {
		os.Exit(m.Run())
	}
	helper, ok := helpers[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no helper %q\n", name)
		os.Exit(2)
	}
	if err := helper(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run runs a helper that has the board, if any, as its descriptor 3.
func run(t *testing.T, helper string, m *Memory) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	// The race detector would otherwise hold every exit up for a second.
	cmd.Env = append(os.Environ(), "SCOREBOARD_TEST_HELPER="+helper, "GORACE=atexit_sleep_ms=0")
	if m != nil {
		cmd.ExtraFiles = []*os.File{m.File()}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func create(t *testing.T) *Memory {
	t.Helper()
	m, err := Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func helperWorker() error {
	b, err := Open(3)
	if err != nil {
		return err
	}
	unix.Close(3)
	b.WriteHeader(os.Getpid())
	b.RequestStarted()
	b.RequestFinished(404)
	b.SetState(Draining)
	if b.DrainUntil() != 12345 || !b.Leaving(1) {
		return errors.New("the master's words are not there")
	}
	return nil
}

func TestShared(t *testing.T) {
	m := create(t)
	v := m.View()
	if h, ok := v.Header(); ok {
		t.Fatalf("a new board has a header: %+v", h)
	}
	v.SetDrainUntil(12345)
	v.SetLeaving(2)
	if out, err := run(t, "worker", m); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if h, ok := v.Header(); !ok || h.State != Draining || h.PID == 0 {
		t.Errorf("Header() = %+v, %v", h, ok)
	}
	if c := v.Counters(); c.Started != 1 || c.Finished != 1 || c.Status[3] != 1 {
		t.Errorf("Counters() = %+v", c)
	}
}

// helperTruncate is a hostile worker: it must not be able to resize the board,
// nor to seal it against the master's own writes.
func helperTruncate() error {
	for _, size := range []int64{0, 1, Size - 1, Size + 1, 1 << 30} {
		if err := unix.Ftruncate(3, size); !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("ftruncate to %d: %v, want EPERM", size, err)
		}
	}
	for _, seal := range []int{unix.F_SEAL_WRITE, unix.F_SEAL_FUTURE_WRITE} {
		if _, err := unix.FcntlInt(3, unix.F_ADD_SEALS, seal); !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("seal %#x: %v, want EPERM", seal, err)
		}
	}
	return nil
}

func TestWorkerCannotTruncate(t *testing.T) {
	m := create(t)
	if out, err := run(t, "truncate", m); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m.View().SetDrainUntil(1) // dies with SIGBUS if it could
	if h, ok := m.View().Header(); ok {
		t.Errorf("Header() = %+v, true", h)
	}
}

// helperPunch takes the pages away, which the seals do not forbid.
func helperPunch() error {
	b, err := Open(3)
	if err != nil {
		return err
	}
	b.WriteHeader(1)
	return unix.Fallocate(3, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, Size)
}

func TestWorkerPunchesHole(t *testing.T) {
	m := create(t)
	if out, err := run(t, "punch", m); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if h, ok := m.View().Header(); ok {
		t.Errorf("Header() = %+v, true", h)
	}
	if c := m.View().Counters(); c != (Counters{}) {
		t.Errorf("Counters() = %+v", c)
	}
}

// helperUnsealed is what Create would be without the seals. It never returns.
func helperUnsealed() error {
	fd, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, Size); err != nil {
		return err
	}
	data, err := mmap(fd, Size)
	if err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, 0); err != nil {
		return err
	}
	View{mem: &Memory{data: data}}.Header()
	return errors.New("still alive")
}

// TestUnsealedKills shows that the seals are what keeps the master alive.
func TestUnsealedKills(t *testing.T) {
	out, err := run(t, "unsealed", nil)
	if err == nil || !strings.Contains(out, "SIGBUS") {
		t.Errorf("reading truncated memory: %v, want death by SIGBUS\n%s", err, out)
	}
}

// TestHostileBytes lets a second mapping write noise while the master reads.
func TestHostileBytes(t *testing.T) {
	m := create(t)
	noise, err := mmap(int(m.File().Fd()), Size)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		rng := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				return
			default:
				noise.u64(8 * rng.IntN(HeaderSize/8)).Store(rng.Uint64())
				noise.u64(OffsetMagic).Store(magicWord)
			}
		}
	}()
	for range 5_000 {
		h, _ := m.View().Header()
		_ = h.State.String()
		m.View().Counters()
	}
	close(stop)
	<-stopped
}

func TestClose(t *testing.T) {
	m := create(t)
	v := m.View()
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	v.SetDrainUntil(1)
	if _, ok := v.Header(); ok {
		t.Error("a closed board has a header")
	}
}

func TestOpenRefuses(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unsealed, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(unsealed)
	short, err := unix.MemfdCreate("short", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(short)
	if _, err := unix.FcntlInt(uintptr(short), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		fd   int
	}{
		{"no descriptor", -1},
		{"a regular file", int(file.Fd())},
		{"without seals", unsealed},
		{"too short", short},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := Open(tt.fd); err == nil {
				t.Errorf("Open gives %v, want an error", b)
			}
		})
	}
}

// TestMonotonic compares with the kernel's clock, which every process reads.
func TestMonotonic(t *testing.T) {
	best := int64(1 << 62)
	for range 100 {
		var before, after unix.Timespec
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &before)
		now := Monotonic()
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)
		off := max(before.Nano()-now, now-after.Nano(), 0)
		best = min(best, off)
	}
	if best > 5_000 {
		t.Errorf("Monotonic is %d ns outside the kernel's readings around it", best)
	}
}
