//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// takeover is how long after the end of the only worker a spare may have answered the next
// request: ten times what it takes where nobody else wants a processor. An interpreter has
// more, as its first request takes longer than the spare where many want one.
const takeover = 100 * time.Millisecond

// spared is a master that has spares.
type spared struct {
	*master
	control string
	client  http.Client
}

// await waits until all workers and all spares are ready.
func (s *spared) await(t *testing.T) (st control.Status) {
	t.Helper()
	eventually(t, "the workers and spares to be ready", func() bool {
		st, _ = asked(t, s.control, false)
		return st.ReadyWorkers == st.WorkersTarget && st.ReadySpares == st.SparesTarget && len(st.Workers) == st.WorkersTarget+st.SparesTarget
	})
	return st
}

// only returns the pids of those in the state.
func only(st control.Status, state string) (pids []int) {
	for _, w := range st.Workers {
		if w.State == state {
			pids = append(pids, *w.PID)
		}
	}
	return pids
}

// fresh is a client that makes a connection for each request.
func fresh() http.Client {
	return http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testTimeout}
}

// asks makes a request on a new connection, and returns who has answered.
func (s *spared) asks() (by string, err error) {
	answer, err := s.client.Get("http://" + s.addr() + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.Header.Get("X-Worker-Pid"), err
}

// kill ends the only worker, and returns how long it took until the next request was
// answered, by the spare.
func (s *spared) kill(t *testing.T) time.Duration {
	t.Helper()
	st := s.await(t)
	before, err := s.asks()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := syscall.Kill(only(st, "ready")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for { // a connection that it had accepted is lost with it
		by, err := s.asks()
		took := time.Since(begin)
		if err == nil && by != before {
			return took
		}
		if took > testTimeout {
			t.Fatalf("nobody but %s answers: %v", before, err)
		}
	}
}

// takesOver kills the worker a few times, while nobody who is started becomes ready: their
// boot goes on as long as a file is not there.
func (s *spared) takesOver(t *testing.T, boots string, within time.Duration) {
	t.Helper()
	var all []time.Duration
	for range 5 {
		s.await(t)
		if err := os.Remove(boots); err != nil {
			t.Fatal(err)
		}
		all = append(all, s.kill(t))
		put(t, boots, nil)
	}
	slices.Sort(all)
	t.Logf("the next request was answered %v after the kill, at best %v, at worst %v", all[len(all)/2], all[0], all[len(all)-1])
	if all[0] > within {
		t.Errorf("the next request was answered %v after the kill", all)
	}
}

// unhurt has a crash loop go on without a pause.
var unhurt = strings.Join([]string{"[restart]", `backoff_min = "1ms"`, `backoff_max = "1ms"`}, "\n")

// A spare takes over from a worker that is killed, however long the next one boots.
func TestSpareTakesOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, how := range map[string]func(t *testing.T, boots string) (lines []string){
		"Go": func(t *testing.T, boots string) []string { return []string{command(as("serve", "", boots)...)} },
		"proxy": func(t *testing.T, boots string) []string {
			return []string{command("sh", "-c", fmt.Sprintf("until [ -e %s ]; do sleep 0.01; done; exec %s %s", boots, need(t, "node"), filepath.Join(proxiedDir(t), "server.js"))), classProxy}
		},
		"Python": func(t *testing.T, boots string) []string { return pythonSpare(t, boots) },
		"Python, preload": func(t *testing.T, boots string) []string {
			return append(pythonSpare(t, boots), "preload = true")
		},
		"Node": func(t *testing.T, boots string) []string {
			dir := t.TempDir()
			linkModules(t, dir)
			put(t, filepath.Join(dir, "server.mjs"), []byte(nodeSpare))
			return []string{command(need(t, "node"), "server.mjs", boots), fmt.Sprintf("chdir = %q", dir)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			boots := filepath.Join(dir, strings.ReplaceAll(name, ", ", "-"))
			put(t, boots, nil)
			line, path := controlled(t)
			s := &spared{up(t, slices.Concat(how(t, boots), []string{"workers = 1", "spares = 1", line, unhurt})...), path, fresh()}
			within := takeover
			if name != "Go" {
				within *= 10
			}
			s.takesOver(t, boots, within)
		})
	}
}

// pythonSpare is a Python application that loads for as long as a file is not there.
func pythonSpare(t *testing.T, boots string) []string {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "app.py"), []byte(`
import os, time
while not os.path.exists(os.environ["BOOTS"]):
    time.sleep(0.01)
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-worker-pid", str(os.getpid()).encode())]})
        await send({"type": "http.response.body", "body": b"hello"})
`))
	library := absolute(t, pythonPackage+"/src")
	return []string{
		command(filepath.Join(pythonVenv(t), "bin", "python"), "-m", "gosuper", "app:app"), fmt.Sprintf("chdir = %q", dir),
		fmt.Sprintf("env = { BOOTS = %q, PYTHONPATH = %q }", boots, library),
	}
}

// nodeSpare is the same for Node.
const nodeSpare = `
import fs from 'node:fs';
import http from 'node:http';
import { setTimeout } from 'node:timers/promises';
import gosuper from 'gosuper';
while (!fs.existsSync(process.argv[2])) await setTimeout(10);
await gosuper.listen(http.createServer((q, r) => r.writeHead(200, { 'x-worker-pid': process.pid }).end('hello')));
`

// A spare is served nothing, and is told apart by whoever asks. A reload replaces it, after
// the workers, and an upgrade in place keeps it.
func TestSpareWaits(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m, _ := upgradable(t, "workers = 2", "spares = 1", line, admin("127.0.0.1:0"), unhurt)
	s := &spared{m, path, fresh()}
	st := s.await(t)
	spare := only(st, "spare")[0]
	served := map[string]bool{}
	for range 300 {
		answer, _, err := m.get("/")
		if err != nil {
			t.Fatal(err)
		}
		served[answer.Header.Get("X-Worker-Pid")] = true
	}
	if len(served) != 2 || served[strconv.Itoa(spare)] {
		t.Errorf("%v have answered, and %d is a spare", served, spare)
	}
	for _, w := range s.await(t).Workers {
		if w.State == "spare" && (w.Slot != -1 || *w.Requests != 0) {
			t.Errorf("a spare is %+v", w)
		}
	}
	if samples := m.samples(); samples[`gosuper_workers{state="spare"}`] != 1 || samples[`gosuper_workers{state="ready"}`] != 2 || samples["gosuper_spares_target"] != 1 {
		t.Errorf("the metrics are %v", samples)
	}

	m.upgrade()
	if after := only(s.await(t), "spare"); !slices.Equal(after, []int{spare}) {
		t.Errorf("spare %d is %d after an upgrade", spare, after)
	}
	from := m.mark()
	if err := syscall.Kill(only(s.await(t), "ready")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := m.wait(t, from, "spare activated", match{"reason": "crash"}); e.num("pid") != spare {
		t.Errorf("process %d was activated, not %d", e.num("pid"), spare)
	}

	before := s.await(t)
	from = m.mark()
	m.reload()
	after := s.await(t)
	for _, w := range after.Workers {
		if slices.Contains(slices.Concat(only(before, "ready"), only(before, "spare")), *w.PID) || w.Generation != before.Generation+1 {
			t.Errorf("after a reload there is %+v", w)
		}
	}
	if last, first := m.wait(t, from, "spare ready", nil), m.all(from, "worker ready", nil); len(first) != 2 || first[1].at.After(last.at) {
		t.Errorf("a spare was ready at %v, and workers were %v", last.at, first)
	}
	if n := len(m.all(from, "spare activated", nil)); n > 0 {
		t.Errorf("%d spares were activated by a reload", n)
	}
}

// Plain workers cannot wait, which is said, and are as many as without spares.
func TestPlainWorkersAreNoSpares(t *testing.T) {
	t.Parallel()
	m := up(t, command(plain), "workers = 1", "spares = 2", `ready = "100ms"`, `startup_timeout = "1s"`)
	m.wait(t, 0, "there are no spares: this worker cannot wait without accepting connections", nil)
	if all, served := len(m.all(0, "worker started", nil)), len(m.all(0, "worker started", match{"slot": 0})); all != served {
		t.Errorf("%d workers were started, %d of them for the slot", all, served)
	}
}
