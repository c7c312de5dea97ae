//go:build linux

package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker"
)

// vandal is a worker that does to its streams what would harm whoever else writes to
// them, says what came of that, and serves.
func vandal([]string) error {
	for fd := 1; fd <= 2; fd++ {
		truncated := unix.Ftruncate(fd, 0)
		_, position := unix.Seek(fd, 0, io.SeekStart)
		err := unix.SetNonblock(fd, true)
		fmt.Fprintf(os.Stderr, "truncating %d: %v; seeking: %v; changing: %v\n", fd, truncated, position, err)
	}
	// A server whose log is /dev/stdout opens it.
	f, err := os.OpenFile("/dev/stdout", os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	fmt.Fprintln(f, "opened by name")
	return worker.ListenAndServe("", newHandler())
}

// A worker has no descriptor of the master's streams: it can neither empty the files
// of root that they are nor change how they are written to.
func TestHostileVandal(t *testing.T) {
	needRoot(t)
	const precious = "what was there before\n"
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(precious), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	flags := func() (flags int) {
		conn.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) })
		if err != nil {
			t.Fatal(err)
		}
		return flags
	}
	before := flags()
	m := start(t, launch{
		config: config("workers = 1", `chdir = "/usr"`, `user = "65534"`, command(as("vandal")...)),
		stderr: file, stdout: file,
	})
	m.wait(t, 0, "ready", nil)
	if now := flags(); now != before {
		t.Errorf("the flags of the file were %#x and are %#x", before, now)
	}
	m.signal(syscall.SIGTERM)
	m.end()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{precious, "opened by name\n", "truncating 1: invalid argument; seeking: illegal seek", "truncating 2: invalid argument; seeking: illegal seek"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file has not %q:\n%s", want, text)
		}
	}
}

// together starts a master whose stdout and stderr are one pipe, which the test
// reads.
func together(t *testing.T, before []string, lines ...string) *master {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, launch{before: before, config: config(lines...), args: []string{"--error-logfile", "-"}, stderr: w, stdout: w})
	w.Close()
	go func() {
		m.read(r)
		r.Close()
	}()
	return m
}

// Where stdout and stderr are the same, what a worker writes to both stays in order,
// and no line of the master's goes on in one of a worker's that is unfinished.
func TestOutputTogether(t *testing.T) {
	script := `i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo out $i; echo err $i >&2; done; printf 'Loading: 10%%'; exec sleep 1000`
	m := together(t, nil, "workers = 1", `ready = "10ms"`, command("sh", "-c", script))
	m.contains(t, "\nLoading: 10%")
	m.signal(syscall.SIGTERM)
	m.wait(t, 0, "signal", nil) // which is not glued to anything, or would not be found
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	var want strings.Builder
	for i := 1; i <= 500; i++ {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	first, _, _ := strings.Cut(m.String(), "\nLoading: 10%\n")
	var got strings.Builder
	for line := range strings.Lines(first + "\n") {
		if !strings.HasPrefix(line, "{") {
			got.WriteString(line)
		}
	}
	if got.String() != want.String() {
		t.Errorf("the worker's lines are not what it wrote, in order:\n%s", got.String())
	}
}

// What workers write to stdout is all there, and once, whatever version of the
// master passes it on.
func TestUpgradesLoseNoOutput(t *testing.T) {
	t.Parallel()
	var stdout lockedBuffer
	binary := filepath.Join(t.TempDir(), "gosuper")
	install(t, gosuper, binary)
	script := `i=0; while :; do i=$((i+1)); echo $i; echo $i >&2; sleep 0.001; done`
	m := start(t, launch{
		config: config("workers = 1", `ready = "10ms"`, command("sh", "-c", script)),
		binary: binary, stdout: &stdout,
	})
	m.wait(t, 0, "ready", nil)
	for range 5 {
		m.upgrade()
		seen := len(stdout.String())
		eventually(t, "there is more", func() bool { return len(stdout.String()) > seen })
	}
	m.signal(syscall.SIGTERM)
	m.end()
	n := 0
	for line := range strings.Lines(stdout.String()) {
		if n++; line != fmt.Sprintln(n) {
			t.Fatalf("line %d is %q", n, line)
		}
	}
}
