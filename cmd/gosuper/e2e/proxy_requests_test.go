//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A request has one name: on the board, in the access log, and for the program.
func TestProxyRequestNames(t *testing.T) {
	t.Parallel()
	line, socket := controlled(t)
	path := filepath.Join(t.TempDir(), "access.log")
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", line, "[log]", fmt.Sprintf("access_file = %q", path), `access_format = "json"`)
	var told []string
	for _, given := range []string{"seven", ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+m.addr()+"/headers", nil)
		if err != nil {
			t.Fatal(err)
		}
		if given != "" {
			req.Header.Set("X-Request-Id", given)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		err = json.NewDecoder(answer.Body).Decode(&got)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, got["x-request-id"])
	}
	if told[0] != "seven" || len(told[1]) < 16 {
		t.Errorf("the program is told %q", told)
	}
	var logged []string
	eventually(t, "both are in the access log", func() bool {
		logged = nil
		for line := range strings.Lines(read(t, path)) {
			var entry struct {
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			logged = append(logged, entry.RequestID)
		}
		return len(logged) == 2
	})
	if !slices.Equal(logged, told) {
		t.Errorf("the access log has %q, the program was told %q", logged, told)
	}
	go m.get("/sleep")
	eventually(t, "the request in flight has a name on the board", func() bool {
		st, _ := asked(t, socket, true)
		return len(st.Requests) == 1 && len(st.Requests[0].RequestID) >= 16
	})
}

// A program behind a front has its worker replaced, and says how it is, as a plain worker
// does. That the worker stops or is ready it does not say, nor does anybody else say
// anything for it.
func TestProxyReports(t *testing.T) {
	t.Parallel()
	line, socket := controlled(t)
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", line)
	program := behind(t, m.workers()[0])
	report := func(text string) {
		t.Helper()
		if answer, _, err := m.get("/report?" + text); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	said := func(want string) {
		t.Helper()
		eventually(t, "the worker says "+want, func() bool {
			st, _ := asked(t, socket, false)
			return len(st.Workers) == 1 && st.Workers[0].Status == want && st.Workers[0].State == "ready"
		})
	}
	environ := strings.Split(read(t, fmt.Sprintf("/proc/%d/environ", program)), "\x00")
	var address string
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, "NOTIFY_SOCKET="); ok {
			address = value
		}
	}
	stranger, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stranger)
	send := func(text string, rights []byte) {
		t.Helper()
		if err := unix.Sendmsg(stranger, []byte(text), rights, &unix.SockaddrUnix{Name: address}, 0); err != nil {
			t.Fatalf("to %q: %v", address, err)
		}
	}
	send("STATUS=strange\nX_GOSUPER_RECYCLE=strange", nil)
	report("STOPPING=1+STATUS=warm")
	said("warm")

	// A barrier is over when what came before it was passed on.
	near, far, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	send("BARRIER=1", unix.UnixRights(int(far.Fd())))
	far.Close()
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the barrier ends with %v", err)
	}

	from := m.mark()
	report("X_GOSUPER_RECYCLE=leaks")
	m.wait(t, from, "worker gone", match{"worker": 1, "reason": "leaks"})
	m.stopped(match{"requests_lost": 0})
	if strings.Contains(m.String(), "strange") {
		t.Error("a stranger was believed")
	}
}

// Fronts take connections as evenly as workers do that serve by themselves.
func TestProxyEvenSpread(t *testing.T) {
	evenly(t, up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 4"), "/nap")
}

// The address space is the program's: a front reserves more than many a limit.
func TestProxyLimitAS(t *testing.T) {
	t.Parallel()
	const limit = "209715200"
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", "limits.as = "+limit)
	front := m.workers()[0]
	program := behind(t, front)
	if got := rlimits(t, program)["Max address space"]; got != limit+" "+limit {
		t.Errorf("the program's is %s", got)
	}
	if got, want := rlimits(t, front)["Max address space"], rlimits(t, m.pid())["Max address space"]; got != want {
		t.Errorf("the front's is %s, not %s", got, want)
	}
	if answer, _, err := m.get("/"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", answer, err)
	}
	script := filepath.Join(open(t), "script")
	put(t, script, []byte("#!/no/such/interpreter\n"))
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	refused := start(t, launch{config: config(command(script), classProxy, "workers = 1", "limits.as = "+limit, "restart.startup_attempts = 1")})
	if code := refused.end(); code != 3 || !strings.Contains(refused.String(), "limits.as: no such file") {
		t.Errorf("exit status %d: %s", code, refused)
	}
}
