//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// The example for Node runs as it stands, on another port.
func TestNodeExample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"server.js", "package.json"} {
		put(t, filepath.Join(dir, name), []byte(read(t, examples+"/node/"+name)))
	}
	linkModules(t, dir)
	file := read(t, examples+"/node/supervisor.toml")
	for _, change := range [][2]string{{"127.0.0.1:8000", "127.0.0.1:0"}, {`workers = "auto"`, "workers = 2"}, {`"node"`, fmt.Sprintf("%q", need(t, "node"))}} {
		file = replace(t, file, change[0], change[1])
	}
	m := start(t, launch{config: fmt.Sprintf("chdir = %q\ncontrol.socket = \"off\"\n%s", dir, file)})
	m.wait(t, 0, "ready", nil)

	r := m.load(load.Plan{Connections: 8, Mode: load.KeepAlive, Method: http.MethodPost, Path: "/agent", Body: `{"prompt":"hello there"}`})
	// A kept connection would lead a stream to a worker that is about to go.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	stream := func(tokens int) *bufio.Scanner {
		t.Helper()
		return openStream(t, client, fmt.Sprintf("http://%s/agent/stream?tokens=%d", m.addr(), tokens))
	}
	var streams []*bufio.Scanner
	for range 20 { // more listeners of the signal than Node is used to
		streams = append(streams, stream(1000))
	}
	m.reload()
	for _, one := range streams {
		if tokens, last := rest(t, one); last != `error data: {"error":"Server shutting down"}` {
			t.Errorf("after %d tokens the stream ends with %q", tokens, last)
		}
	}
	r.more(50)
	none(t, "a reload", r.end(), 100)
	if tokens, last := rest(t, stream(5)); tokens != 4 || last != `done data: {"tokens":5}` {
		t.Errorf("after its first token a stream of 5 has %d, and ends with %q", tokens, last)
	}
	if strings.Contains(m.String(), "Warning") {
		t.Error("node warns of something")
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
