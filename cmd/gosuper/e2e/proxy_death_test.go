//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a program had when it was killed has 502 at once, and what it had got nothing of
// is the next one's to answer. For the master the worker has crashed, as its program did.
func TestProxyDeathHandsOn(t *testing.T) {
	t.Parallel()
	line, socket := controlled(t)
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1", line, admin("127.0.0.1:0"))
	front := m.workers()[0]
	program := behind(t, front)
	_, port, _ := strings.Cut(read(t, fmt.Sprintf("/proc/%d/cmdline", program)), "\x00--port\x00")
	port, _, _ = strings.Cut(port, "\x00")
	held := holding(m)
	bodies := []string{"", "short", strings.Repeat("long", 25<<10), ""}
	headers := len(bodies) - 1 // which of them asks what the program is told
	var clients []net.Conn
	for i := range bodies {
		c, err := net.Dial("tcp", m.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(testTimeout))
		path := "/"
		if i == headers {
			path = "/headers"
		}
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nX-Forwarded-Proto: https\r\nHost: ", path)
		clients = append(clients, c)
	}
	// The front gets to see all of it at the same time.
	if err := syscall.Kill(front, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the front has stopped", func() bool { return threads(front, "T") })
	if err := syscall.Kill(program, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program is dead", func() bool { return threads(program, "Z") })
	eventually(t, "the kernel has closed its sockets", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	for i, c := range clients {
		fmt.Fprintf(c, "site\r\nContent-Length: %d\r\n\r\n%s", len(bodies[i]), bodies[i])
	}
	begin := time.Now()
	if err := syscall.Kill(front, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code, took := <-held, time.Since(begin); code != http.StatusBadGateway || took > 10*time.Second {
		t.Errorf("the request that the program had: %d after %v", code, took)
	}
	for i, c := range clients {
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		body, err := io.ReadAll(answer.Body)
		whole := string(body) == "hello from behind\n"
		if i == headers {
			var told map[string]string
			_ = json.Unmarshal(body, &told) // what is no JSON says nothing
			whole = told["x-forwarded-for"] == "127.0.0.1" && told["x-forwarded-proto"] == "https" && told["x-forwarded-host"] == "site" && told["gosuper-again"] == ""
		}
		if by := answer.Header.Get("X-Worker-Pid"); err != nil || answer.StatusCode != http.StatusOK || !whole || by == strconv.Itoa(program) {
			t.Errorf("request %d: %s %q from %s, %v", i, answer.Status, body, by, err)
		}
	}
	crash := m.wait(t, 0, "worker crashed", nil)
	if crash.num("pid") != front || !strings.Contains(crash.str("status"), "killed") {
		t.Errorf("the crash is %s", crash.line)
	}
	if st, _ := asked(t, socket, false); st.Counters.Restarts["crash"] != 1 || st.Counters.Restarts["recycle"] != 0 {
		t.Errorf("restarts: %v", st.Counters.Restarts)
	}
	if all := incidentsOf(t, socket); len(all) != 1 || all[0].Reason != "crash" {
		t.Errorf("the incidents are %+v", all)
	}
}

// threads reports whether all threads of a process are in a state, as proc(5) names it.
func threads(pid int, state string) bool {
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, stat := range all {
		text, err := os.ReadFile(stat)
		if _, rest, _ := strings.Cut(string(text), ") "); err != nil || !strings.HasPrefix(rest, state) {
			return false
		}
	}
	return err == nil && len(all) > 0
}
