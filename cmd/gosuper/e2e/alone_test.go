//go:build linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// solo is a worker that runs without a master.
type solo struct {
	cmd  *exec.Cmd
	path string
}

// startAlone starts a worker that serves a unix socket at the path.
func startAlone(t *testing.T, cmd *exec.Cmd, path string) *solo {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return &solo{cmd, path}
}

func (s *solo) took(t *testing.T) time.Duration {
	t.Helper()
	ns, err := strconv.Atoi(ask(t, s.path, "/took"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ns)
}

// stop ends the worker gracefully.
func (s *solo) stop(t *testing.T) {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the worker ended with: %v", err)
	}
}

// ask gets a path from a unix socket, and waits until there is one. An answer
// that does not come is an empty one.
func ask(t *testing.T, socket, path string) string {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	client := http.Client{Timeout: testTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			for {
				conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
				if err == nil || time.Now().After(deadline) {
					return conn, err
				}
				time.Sleep(5 * time.Millisecond) // between two tries: a socket does not tell that it is there
			}
		},
	}}
	answer, err := client.Get("http://worker" + path)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return string(body)
}

// The same program serves without gosuper.
func TestWorkerAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	words := as("serve")
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(cleanEnviron(), "E2E_ADDR=unix:"+path)
	s := startAlone(t, cmd, path)
	if body := ask(t, path, "/"); body != "generation \n" {
		t.Errorf("answer %q", body)
	}
	s.stop(t)
}

// A program that is started by another one in its place is told so; with exec all
// is well.
func TestProgramBetween(t *testing.T) {
	t.Parallel()
	words := as("serve")
	line := fmt.Sprintf("%s %s %s", words[0], words[1], words[2])
	m := start(t, launch{config: config(command("sh", "-c", line+"; exit $?"), "workers = 1", `ready = "notify"`, "[restart]", `backoff_min = "1ms"`)})
	if code := m.end(); code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
	m.contains(t, "gosuper: error: the first workers could not boot")
	for _, want := range []string{"cannot serve as worker", "(sh -c " + line, "name this program itself", "exec"} {
		m.contains(t, want)
	}
	m = up(t, command("sh", "-c", "exec "+line))
	if _, body, err := m.get("/"); err != nil || body != "generation 1\n" {
		t.Errorf("answer %q, %v", body, err)
	}
}
