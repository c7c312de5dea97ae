//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// An mcpClient is one session of the example.
type mcpClient struct {
	http    *http.Client
	session string
	slot    string // where it is
	notes   []string
}

// send sends a message and returns the status and the text of the answer.
func (c *mcpClient) send(message string) (status int, text string, err error) {
	r, err := http.NewRequest(http.MethodPost, "http://nginx/mcp", strings.NewReader(message))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if name := answer.Header.Get("Mcp-Session-Id"); name != "" {
		c.session = name
	}
	return answer.StatusCode, string(body), err
}

// begin begins a session.
func (c *mcpClient) begin() error {
	c.session, c.slot, c.notes = "", "", nil
	status, text, err := c.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
	if err == nil && (status != http.StatusOK || c.session == "" || !strings.Contains(text, `"protocolVersion"`)) {
		err = fmt.Errorf("a session begins with %d: %s", status, text)
	}
	if err == nil {
		if status, text, err = c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); err == nil && status != http.StatusAccepted {
			err = fmt.Errorf("a notification is answered %d: %s", status, text)
		}
	}
	return err
}

// remember has the worker remember a note, and checks that it knows those before.
func (c *mcpClient) remember(note string) error {
	status, text, err := c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"remember","arguments":{"note":%q}}}`, note))
	if err != nil {
		return err
	}
	if status == http.StatusNotFound {
		return errForgotten
	}
	var reply struct {
		Result struct{ Content []struct{ Text string } }
	}
	if err := json.Unmarshal([]byte(text), &reply); err != nil || status != http.StatusOK || len(reply.Result.Content) != 1 {
		return fmt.Errorf("%d: %s (%v)", status, text, err)
	}
	where, notes, _ := strings.Cut(reply.Result.Content[0].Text, ": ")
	c.notes = append(c.notes, note)
	if want := strings.Join(c.notes, ", "); notes != want || c.slot != "" && where != c.slot {
		return fmt.Errorf("%s remembers %q, and %q was said in %s", where, notes, want, c.slot)
	}
	c.slot = where
	return nil
}

// errForgotten is that the worker does not know the session.
var errForgotten = fmt.Errorf("the session is not known any more")

// talk has the sessions go on until stop is closed, and returns what was wrong.
func talk(all []*mcpClient, stop <-chan struct{}) (said *atomic.Int64, wrong <-chan error) {
	said, results := &atomic.Int64{}, make(chan error, len(all))
	for _, c := range all {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					results <- nil
					return
				default:
				}
				if err := c.remember(fmt.Sprint(n)); err != nil {
					results <- fmt.Errorf("session %s in %s: %w", c.session, c.slot, err)
					return
				}
				said.Add(1)
			}
		}()
	}
	return said, results
}

// Each session is served by the worker that has it, behind a real nginx, and none is lost
// while all workers are recycled and reloaded. Those of a worker that is killed are gone,
// of which a client is told so that it begins another; the others are not touched.
func TestMCPExample(t *testing.T) {
	t.Parallel()
	need(t, "nginx")
	dir := open(t)
	folder := absolute(t, examples+"/mcp")
	source := absolute(t, pythonPackage+"/src")
	line, control := controlled(t)
	file := replace(t, read(t, examples+"/mcp/supervisor.toml"), "127.0.0.1:8000", "127.0.0.1:0")
	m := start(t, launch{
		config: config(fmt.Sprintf("chdir = %q", folder), line, strings.ReplaceAll(file, "/run/agent", dir)),
		env:    []string{"VIRTUAL_ENV=" + pythonVenv(t), "PYTHONPATH=" + source, "PYTHONDONTWRITEBYTECODE=1"},
	})
	m.wait(t, 0, "ready", nil)
	front := startNginx(t, dir, strings.ReplaceAll(read(t, examples+"/mcp/nginx.conf"), "/run/agent", dir))

	var all []*mcpClient
	slots := map[string]int{}
	for range 32 {
		c := &mcpClient{http: clientOf(front)}
		if err := c.begin(); err != nil {
			t.Fatal(err)
		}
		if err := c.remember("first"); err != nil {
			t.Fatal(err)
		}
		slots[c.slot]++
		all = append(all, c)
	}
	if len(slots) != 4 {
		t.Errorf("the sessions are in %v, want all of four slots", slots)
	}

	stop := make(chan struct{})
	said, wrong := talk(all, stop)
	m.reload()
	if text, err := exec.Command(gosuper, "--control", control, "recycle", "all").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	m.count(t, 4, 0, "worker gone", match{"reason": "recycle"})
	m.await(t, "four workers to be ready", func() bool { return len(m.workers()) == 4 })
	before := said.Load()
	eventually(t, "the sessions to go on", func() bool { return said.Load() > before+100 })
	close(stop)
	for range all {
		if err := <-wrong; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d notes in %d sessions, which were in %v", said.Load(), len(all), slots)

	from := m.mark()
	if err := syscall.Kill(m.workers()[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.wait(t, from, "worker ready", match{"slot": 1})
	for _, c := range all {
		switch err := c.remember("after the kill"); {
		case err == errForgotten && c.slot == "slot 1":
			if err := c.begin(); err != nil {
				t.Error(err)
			}
		case err != nil || c.slot == "slot 1":
			t.Errorf("a session in %s: %v", c.slot, err)
		}
	}
}
