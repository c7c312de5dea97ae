//go:build linux

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launch says how to start a master.
type launch struct {
	config string   // the file; "" for none
	args   []string // after -c FILE
	env    []string // on top of a clean environment
	before []string // command that execs gosuper
	whole  []string // command that runs gosuper by itself, with no file and no args; nil: before and gosuper
	binary string   // instead of gosuper; "": gosuper
	stderr *os.File // nil: the test reads it, and finds the log there
	// terminal is the controlling terminal, and all standard streams; nil: there is none.
	terminal *os.File
	stdout   io.Writer  // nil: discarded
	files    []*os.File // its descriptors 3, 4, ...
}

// master is a running gosuper.
type master struct {
	*transcript
	t      testing.TB
	cmd    *exec.Cmd
	file   string // of the configuration
	tag    string
	exited chan struct{} // closed when the process has been waited for
	own    *os.File      // the test's own writing end of what it reads of the master; nil if it reads by itself
}

// start starts a master and sees to its end.
func start(t testing.TB, l launch) *master {
	t.Helper()
	m := &master{
		t: t, transcript: newTranscript(), exited: make(chan struct{}),
		file: filepath.Join(t.TempDir(), "supervisor.toml"),
		tag:  fmt.Sprintf("%d-%d", os.Getpid(), marks.Add(1)),
	}
	words := append(slices.Clone(l.before), cmp.Or(l.binary, gosuper))
	if l.config != "" {
		if l.stderr != nil {
			path := m.fifo()
			l.config += fmt.Sprintf("[log]\nfile = %q\n", path)
			var err error
			if m.own, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
				t.Fatal(err)
			}
		}
		m.rewrite(l.config)
		words = append(words, "-c", m.file)
	}
	words = append(words, l.args...)
	if l.whole != nil {
		words = l.whole
	}
	m.cmd = exec.Command(words[0], words[1:]...)
	m.cmd.Env = append(append(cleanEnviron(), markName+"="+m.tag), l.env...)
	m.cmd.Dir = filepath.Dir(m.file)
	m.cmd.Stdout, m.cmd.ExtraFiles = l.stdout, l.files
	switch {
	case l.terminal != nil:
		m.cmd.Stdin, m.cmd.Stdout, m.cmd.Stderr = l.terminal, l.terminal, l.terminal
		m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	case l.stderr != nil:
		m.cmd.Stderr = l.stderr
	default:
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		m.cmd.Stderr, m.own = w, w
		go func() {
			m.read(r)
			r.Close()
		}()
	}
	t.Cleanup(m.cleanUp)
	if err := m.cmd.Start(); err != nil {
		close(m.exited)
		m.own.Close()
		t.Fatal(err)
	}
	go func() {
		m.cmd.Wait()
		close(m.exited)
		if m.own != nil {
			m.own.WriteString(lastLine)
			m.own.Close()
		}
	}()
	return m
}

// fifo returns a path for a log that the test reads, apart from stderr.
func (m *master) fifo() string {
	path := filepath.Join(filepath.Dir(m.file), "log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		m.t.Fatal(err)
	}
	// Open for writing as well: it neither blocks nor ends when a writer does.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	go m.read(f)
	m.t.Cleanup(func() { f.Close() })
	return path
}

// up starts a master with the lines of a configuration and waits until it is ready.
func up(t testing.TB, lines ...string) *master {
	t.Helper()
	m := start(t, launch{config: config(lines...)})
	m.wait(t, 0, "ready", nil)
	return m
}

// cleanEnviron is the environment without what would configure a master. The race
// detector's second of sleep at the end of each process is left out.
func cleanEnviron() []string {
	return append(slices.DeleteFunc(os.Environ(), func(entry string) bool {
		for _, prefix := range []string{"GOSUPER_", "PORT=", "WEB_CONCURRENCY=", "LISTEN_", "NOTIFY_SOCKET="} {
			if strings.HasPrefix(entry, prefix) {
				return true
			}
		}
		return false
	}), "GORACE=atexit_sleep_ms=0")
}

// config makes a file of lines of TOML; what they do not say is a free port,
// two good workers and no control socket. The race detector makes programs so slow that a cooperating
// worker may not have got to its header when a plain one would count as ready, so
// there the master is told what to expect.
func config(lines ...string) string {
	text := strings.Join(lines, "\n") + "\n"
	defaults := []string{`bind = ["127.0.0.1:0"]`, `workers = 2`, command(as("serve")...), `control = { socket = "off" }`}
	if raceEnabled && (!strings.Contains(text, "command =") || strings.Contains(text, `"as"`)) {
		defaults = append(defaults, `ready = "notify"`)
	}
	for _, line := range defaults {
		key, _, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(text, key+" ") && !strings.Contains(text, "\n"+key+" ") {
			text = line + "\n" + text
		}
	}
	return text
}

// command is the line of TOML for a command.
func command(words ...string) string {
	text, err := json.Marshal(words)
	if err != nil {
		panic(err)
	}
	return "command = " + string(text)
}

// rewrite changes the file of the configuration.
func (m *master) rewrite(text string) {
	m.t.Helper()
	if err := os.WriteFile(m.file, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *master) pid() int { return m.cmd.Process.Pid }

func (m *master) signal(s syscall.Signal) {
	m.t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}

// reload asks for a reload and waits until it is done.
func (m *master) reload() {
	m.t.Helper()
	from := m.mark()
	m.signal(syscall.SIGHUP)
	m.wait(m.t, from, "reload done", nil)
}

// end waits for the end of the master, and until all is read that it wrote, and
// returns its exit status, -1 if a signal ended it.
func (m *master) end() int {
	m.t.Helper()
	over := time.After(testTimeout)
	select {
	case <-m.exited:
	case <-over:
		m.t.Fatal("the master does not end")
	}
	if m.own != nil {
		select {
		case <-m.whole:
		case <-over:
			m.t.Fatal("what the master wrote does not end")
		}
	}
	return m.cmd.ProcessState.ExitCode()
}

// addr is the address of the first socket, without its scheme.
func (m *master) addr() string {
	m.t.Helper()
	return m.binds(m.wait(m.t, 0, "starting", nil))[0]
}

// binds are the addresses in an event.
func (m *master) binds(e event) []string {
	var all []string
	for _, one := range e.fields["bind"].([]any) {
		_, addr, _ := strings.Cut(one.(string), "://")
		all = append(all, addr)
	}
	return all
}

// network is the network of an address that binds returned.
func network(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// workers returns the pids of workers that are ready and were not told to drain,
// by slot.
func (m *master) workers() map[int]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	ready := map[int]event{}
	for _, e := range m.events {
		switch e.msg {
		case "worker ready", "spare activated":
			ready[e.num("worker")] = e
		case "worker draining", "worker gone", "worker crashed", "worker boot failed", "killing worker":
			delete(ready, e.num("worker"))
		}
	}
	pids := map[int]int{}
	for e := range maps.Values(ready) {
		pids[e.num("slot")] = e.num("pid")
	}
	return pids
}

// get asks the first address for a path and returns the whole answer.
func (m *master) get(path string) (*http.Response, string, error) {
	addr := m.addr()
	client := http.Client{Timeout: testTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network(addr), addr)
		},
	}}
	answer, err := client.Get("http://worker" + path)
	if err != nil {
		return nil, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer, string(body), err
}

// facts asks a worker about itself.
func (m *master) facts() facts {
	m.t.Helper()
	var f facts
	_, body, err := m.get("/facts")
	if err == nil {
		err = json.Unmarshal([]byte(body), &f)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}

// cleanUp ends the master and whatever has its mark.
func (m *master) cleanUp() {
	if m.cmd.Process != nil {
		m.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-m.exited:
		case <-time.After(testTimeout):
			m.t.Error("the master does not stop")
			m.cmd.Process.Kill()
			<-m.exited
		}
	}
	m.gone(late)
	if strings.Contains(m.String(), "DATA RACE") {
		m.t.Error("the race detector found something")
	}
	if m.t.Failed() {
		text := m.String()
		if lines := strings.SplitAfter(text, "\n"); len(lines) > 60 {
			text = "...\n" + strings.Join(lines[len(lines)-60:], "")
		}
		m.t.Logf("stderr of the master:\n%s", text)
	}
}
