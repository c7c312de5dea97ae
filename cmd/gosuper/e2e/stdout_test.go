//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
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
func together(t *testing.T, args []string, lines ...string) *master {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, launch{config: config(lines...), args: append([]string{"--error-logfile", "-"}, args...), stderr: w, stdout: w})
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
	script := `i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo out $i; echo err $i >&2; done; printf 'Loading: 10%%'; : >written; exec sleep 1000`
	m := together(t, nil, "workers = 1", `ready = "10ms"`, command("sh", "-c", script))
	eventually(t, "all is written", func() bool {
		_, err := os.Stat(filepath.Join(filepath.Dir(m.file), "written"))
		return err == nil
	})
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	m.contains(t, `"msg":"stopped"`)
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

// A worker that writes more than anybody reads keeps nobody from upgrading: what the
// master had in hand is given up, and said, also where its own log has the same
// reader.
func TestUpgradeBesideASlowReader(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("log there %v", own), func(t *testing.T) {
			t.Parallel()
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			binary := filepath.Join(t.TempDir(), "gosuper")
			install(t, gosuper, binary)
			l := launch{
				config: config("workers = 1", `ready = "10ms"`, command("sh", "-c", "exec yes flood >&2")),
				binary: binary, stderr: w,
			}
			if own {
				l.args = []string{"--error-logfile", "-"}
			}
			m := start(t, l)
			w.Close()
			if own {
				ready := make(chan struct{})
				go func() { // reads until there is a master that can be upgraded, and no further
					defer close(ready)
					var text []byte
					for chunk := make([]byte, 4096); !strings.Contains(string(text), `"msg":"ready"`); {
						n, err := r.Read(chunk)
						if err != nil {
							return
						}
						text = append(text, chunk[:n]...)
					}
				}()
				<-ready
			} else {
				m.wait(t, 0, "ready", nil)
			}
			conn, err := r.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the pipe is full", func() (full bool) {
				conn.Control(func(fd uintptr) {
					n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
					full = err == nil && n > 60<<10
				})
				return full
			})
			program, err := os.ReadFile(gosuper) // a link would be the same file
			if err == nil {
				err = os.WriteFile(binary+".new", program, 0o755)
			}
			if err == nil {
				err = os.Rename(binary+".new", binary)
			}
			if err != nil {
				t.Fatal(err)
			}
			m.signal(syscall.SIGUSR2)
			eventually(t, "the master executes the new file", func() bool {
				for _, e := range m.all(0, "upgrade refused, nothing was changed", nil) {
					t.Fatal(e.line)
				}
				now, err := os.Stat(fmt.Sprintf("/proc/%d/exe", m.pid()))
				installed, installedErr := os.Stat(binary)
				return err == nil && installedErr == nil && os.SameFile(now, installed)
			})
			if own {
				lines, into := io.Pipe()
				go m.read(lines)
				go func() { // the flood would take the test longer than the master
					defer into.Close()
					for all := bufio.NewScanner(r); all.Scan(); {
						if strings.HasPrefix(all.Text(), "{") {
							fmt.Fprintln(into, all.Text())
						}
					}
				}()
			}
			m.wait(t, 0, "upgraded", nil)
			lost := m.wait(t, 0, "output was given up for the upgrade: whoever reads it was too slow", nil)
			if n := lost.num("bytes"); n < 1 || n > 64<<10 {
				t.Errorf("%d bytes were given up", n)
			}
			if n := lost.num("log_lines"); n > 0 != own {
				t.Errorf("%d lines of the log were given up", n)
			}
		})
	}
}

// mutter is a worker that says half a line when it is asked to.
func mutter([]string) error {
	handler := newHandler()
	handler.HandleFunc("/mutter", func(http.ResponseWriter, *http.Request) { fmt.Print("half a line") })
	return worker.ListenAndServe("", handler)
}

// A line of the access log begins a line of its own where workers write too.
func TestAccessLogBesideOutput(t *testing.T) {
	m := together(t, []string{"--access-logfile", "-"}, "workers = 1", command(as("mutter")...))
	m.wait(t, 0, "ready", nil)
	for range 20 {
		if _, _, err := m.get("/mutter"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := m.get("/"); err != nil {
		t.Fatal(err)
	}
	m.contains(t, `"GET / HTTP/1.1" 200`)
	for line := range strings.Lines(m.String()) {
		if strings.Contains(line, "HTTP/1.1") && !strings.HasPrefix(line, "127.0.0.1 ") {
			t.Errorf("a line is %q", line)
		}
	}
}
