//go:build linux

package endpoints

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// master is one that serves, and can be scaled.
type master struct {
	admin.Source
	entered, release chan struct{} // of a question that takes long; nil: none does
}

func (m *master) Health(context.Context) (control.Health, error) {
	if m.entered != nil {
		m.entered <- struct{}{}
		<-m.release
	}
	return control.Health{Healthy: true, Ready: true, ReadyWorkers: 2}, nil
}

func (m *master) Scale(context.Context, control.Scaling) (control.Scaled, error) {
	return control.Scaled{From: 1, To: 2}, nil
}

// open are endpoints of a master, and what they log.
func open(t *testing.T, m *master, e *Endpoints, environ ...string) *observer.ObservedLogs {
	t.Helper()
	core, log := observer.New(zap.InfoLevel)
	e.Attach(Options{Master: m, Log: zap.New(core), Paths: socket.NewPaths(nil, func(what string, err error) { t.Errorf("%s: %v", what, err) }), Environ: environ})
	t.Cleanup(func() {
		e.Finish()
		e.CloseControl()
	})
	return log
}

func at(path string) *config.Config {
	c := &config.Config{Name: "test"}
	c.Control.Socket = path
	return c
}

// answers says whether a master answers at the path of a control socket.
func answers(t *testing.T, path string) bool {
	t.Helper()
	h, err := control.NewClient(path).Health(t.Context())
	return err == nil && h.ReadyWorkers == 2
}

// move is what a master does for a configuration that it has accepted.
func move(e *Endpoints, c *config.Config) error {
	bound, err := BindControl(c, e.options.Environ)
	return e.move(c, bound, err)
}

func TestControlSocketMoves(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	e := New()
	open(t, &master{}, e)
	if err := e.OpenControl(at(first)); err != nil {
		t.Fatal(err)
	}
	e.Serve()
	if !answers(t, first) || !e.ControlIsAt(at(first)) || e.ControlIsAt(at(second)) {
		t.Error("it is not where it is to be")
	}
	if err := move(e, at(filepath.Join(dir, "no", "folder"))); err == nil || !answers(t, first) {
		t.Errorf("moved to where nothing can be: %v", err)
	}
	if err := move(e, at(second)); err != nil || answers(t, first) || !answers(t, second) {
		t.Errorf("it has not moved: %v", err)
	}
	if err := move(e, at("off")); err != nil || answers(t, second) || !e.ControlIsAt(at("off")) {
		t.Errorf("it is not off: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind is %v", left)
	}
}

// TestNameTaken: an automatic control socket whose address somebody has is elsewhere,
// which is said.
func TestNameTaken(t *testing.T) {
	c := at("auto")
	c.Name = "endpoints-test-" + strconv.Itoa(os.Getpid()) // the folder of root is one for all
	environ := []string{"XDG_RUNTIME_DIR=" + t.TempDir()}
	first, second := New(), New()
	open(t, &master{}, first, environ...)
	log := open(t, &master{}, second, environ...)
	for _, e := range []*Endpoints{first, second} {
		if err := e.OpenControl(c); err != nil {
			t.Fatal(err)
		}
		e.Serve()
		if e.control == nil || !answers(t, e.control.address) {
			t.Fatalf("nobody answers at %+v", e.control)
		}
	}
	lines := log.FilterMessageSnippet("the address of the control socket is taken").All()
	if len(lines) != 1 || lines[0].ContextMap()["address"] != second.control.address {
		t.Errorf("the second says %v", log.All())
	}
}

// TestPause: who is being answered gets the answer, and who comes meanwhile that of
// whoever goes on.
func TestPause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control")
	m := &master{entered: make(chan struct{}), release: make(chan struct{})}
	e := New()
	open(t, m, e)
	c := at(path)
	c.Admin.Bind = "127.0.0.1:0"
	set, err := BindAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.CloseAdmin(set)
	if err := e.OpenControl(c); err != nil {
		t.Fatal(err)
	}
	e.Serve()
	e.OpenAdmin(set, c)

	// before and then are answers to who asks before the pause and in it.
	before, then := make(chan bool, 2), make(chan bool, 2)
	ask := func(to chan bool) {
		go func() { to <- answers(t, path) }()
		go func() { to <- get(t, set.URLs()[0], "/health") == "ok\n" }()
	}
	ask(before)
	<-m.entered
	<-m.entered
	over := e.Pause()
	close(m.release)
	<-over
	for range 2 {
		if !<-before {
			t.Error("who was being answered got no answer")
		}
	}
	m.entered = nil
	ask(then)
	e.Unpause()
	for range 2 {
		if !<-then {
			t.Error("who came in the pause got no answer")
		}
	}
}

// get asks an admin listener.
func get(t *testing.T, url, path string) string {
	t.Helper()
	r, err := http.Get(strings.Replace(url, "tcp:", "http:", 1) + path)
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestAdminRights: an address that two configurations share is open until both are
// gone, with the rights that were given last.
func TestAdminRights(t *testing.T) {
	e := New()
	log := open(t, &master{}, e)
	may := func(url string) bool {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.Replace(url, "tcp:", "http:", 1)+"/v1/scale", strings.NewReader(`{"by": 1}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Gosuper-Action", "1")
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
	c := at("off")
	if set, err := BindAdmin(c); set != nil || err != nil {
		t.Errorf("no address is bound as %v, %v", set, err)
	}
	c.Admin.Bind = "127.0.0.1:0"
	set, err := BindAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	e.OpenAdmin(set, c)
	url := set.URLs()[0]
	if may(url) {
		t.Error("who may see may act")
	}
	c.Admin.Actions = true
	e.OpenAdmin(set, c)
	if !may(url) {
		t.Error("who may act may not")
	}
	if n := log.FilterMessage("admin listener").Len(); n != 1 {
		t.Errorf("one listener is named %d times", n)
	}
	e.CloseAdmin(set)
	if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "tcp://")); err == nil {
		conn.Close()
		t.Error("somebody can connect to what is closed")
	}
}

// TestSuccessor: another image of the process goes on with the descriptor.
func TestSuccessor(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "control"), "@" + t.TempDir()} {
		before, after := New(), New()
		open(t, &master{}, before)
		if err := before.OpenControl(at(path)); err != nil {
			t.Fatal(err)
		}
		before.Serve()
		<-before.Pause()
		text, _, err := state.Write(before, time.Unix(0, 0))
		if err == nil {
			_, err = state.Read(text, after, time.Unix(0, 0))
		}
		if err != nil {
			t.Fatal(err)
		}
		before.control = nil // as after the exec
		open(t, &master{}, after)
		after.Resume()
		after.Serve()
		if !answers(t, path) || !after.ControlIsAt(at(path)) {
			t.Errorf("nobody goes on at %s", path)
		}
	}
}
