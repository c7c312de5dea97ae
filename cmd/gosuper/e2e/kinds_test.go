//go:build linux

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What the master does for a worker it does for every kind of worker: it has its limits,
// one that is killed is replaced, its slot has an address of its own, a reload to what cannot boot changes nothing, one that is old is
// recycled, as is one that is large, and all end with the master.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		lines func(t *testing.T) []string
	}{
		{"plain", func(*testing.T) []string { return []string{command(plain)} }},
		{"Go", func(*testing.T) []string { return []string{command(as("serve")...)} }},
		{"Python", func(t *testing.T) []string {
			source := absolute(t, pythonPackage+"/src")
			python := filepath.Join(pythonVenv(t), "bin", "python")
			return []string{command(python, "-m", "gosuper", "app:app", "--app-dir", proxiedDir(t)), fmt.Sprintf("env = { PYTHONPATH = %q }", source)}
		}},
		{"Node", func(t *testing.T) []string {
			dir := nodeFolder(t, "express.js")
			return []string{command(need(t, "node"), "--import", "gosuper/register", "express.js"), fmt.Sprintf("chdir = %q", dir)}
		}},
		{"proxy", func(t *testing.T) []string { return []string{proxied(t, "--port", "{port}"), classProxy} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			slots := filepath.Join(t.TempDir(), "{slot}.sock")
			lines := append(tc.lines(t), "limits.nofile = 4096", fmt.Sprintf("bind_slot = [%q]", "unix:"+slots))
			m := up(t, lines...)
			for _, e := range m.count(t, 2, 0, "worker ready", nil) {
				if want := fmt.Sprint(tc.name != "plain"); e.str("cooperating") != want {
					t.Errorf("cooperating is not %s: %s", want, e.line)
				}
				if limit := rlimits(t, e.num("pid"))["Max open files"]; limit != "4096 4096" {
					t.Errorf("it may have %s files open", limit)
				}
			}

			for slot := range 2 {
				if tc.name == "plain" {
					break // which serves what it is written to
				}
				answer, err := clientOf(strings.ReplaceAll(slots, "{slot}", fmt.Sprint(slot))).Get("http://slot/")
				if err != nil || answer.StatusCode != 200 {
					t.Fatalf("at the address of slot %d: %v, %v", slot, answer, err)
				}
				answer.Body.Close()
			}

			from := m.mark()
			old := m.workers()[0]
			syscall.Kill(old, syscall.SIGKILL)
			if e := m.wait(t, from, "worker ready", match{"slot": 0}); e.num("pid") == old {
				t.Errorf("it is ready again: %s", e.line)
			}

			before := m.workers()
			broken := append([]string{command("false")}, lines[1:]...)
			m.rewrite(config(broken...))
			from = m.mark()
			m.signal(syscall.SIGHUP)
			m.wait(t, from, "reload rolled back", nil)
			if after := m.workers(); !maps.Equal(before, after) {
				t.Errorf("workers before the reload that was rolled back %v, after %v", before, after)
			}
			if answer, _, err := m.get("/"); err != nil || answer.StatusCode != 200 {
				t.Errorf("answer %v, %v", answer, err)
			}

			m.rewrite(config(append(lines, `max_worker_lifetime = "1s"`)...))
			m.reload()
			m.wait(t, from, "worker gone", match{"reason": "lifetime"})

			m.rewrite(config(append(lines, `max_worker_memory = "1MiB"`)...)) // which all of them exceed
			m.reload()
			m.wait(t, from, "worker gone", match{"reason": "memory"})

			m.signal(syscall.SIGKILL)
			m.end()
			m.gone(late)
			if strings.Contains(m.String(), "SIGABRT") {
				t.Error("a worker was aborted")
			}
		})
	}
}

// A worker of any kind is its user's, and may no more.
func TestKindsUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	folder := open(t) // which others can read, unlike this repository perhaps
	site, err := filepath.Glob(filepath.Join(pythonVenv(t), "lib", "python3*", "site-packages"))
	if err != nil || len(site) != 1 {
		t.Fatal(site, err)
	}
	for name, from := range map[string]string{
		".": "testdata/proxied", "node_modules/gosuper": nodePackage, "gosuper": pythonPackage + "/src/gosuper",
		"uvicorn": site[0] + "/uvicorn", "h11": site[0] + "/h11", "click": site[0] + "/click",
	} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		words []string
	}{
		{"plain", []string{need(t, "node"), "-e", "require('http').createServer((q, r) => r.end()).listen({ fd: 3 })"}},
		{"Python", []string{"/usr/bin/python3", "-m", "gosuper", "app:app"}},
		{"Node", []string{need(t, "node"), "-e", "require('gosuper').listen(require('http').createServer((q, r) => r.end()))"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := up(t, command(tc.words...), "workers = 1", fmt.Sprintf("chdir = %q", folder), `user = "65534"`, "limits.nofile = 512", admin("127.0.0.1:0"))
			if e := m.wait(t, 0, "worker ready", nil); e.str("cooperating") != fmt.Sprint(tc.name != "plain") {
				t.Errorf("cooperating is not %t: %s", tc.name != "plain", e.line)
			}
			if answer, _, err := m.get("/"); err != nil || answer.StatusCode != 200 {
				t.Errorf("%v, %v", answer, err)
			}
			pid := m.workers()[0]
			is := status(pid)
			for name, want := range map[string]string{"Uid": "65534\t65534\t65534\t65534", "CapEff": "0000000000000000", "NoNewPrivs": "1"} {
				if strings.TrimSpace(is[name]) != want {
					t.Errorf("%s is %q", name, is[name])
				}
			}
			if limit := rlimits(t, pid)["Max open files"]; limit != "512 512" {
				t.Errorf("it may have %s files open", limit)
			}
			if tc.name == "plain" {
				return
			}
			eventually(t, "the master has counted the request", func() bool { return m.samples()[`gosuper_requests_total{code="2xx"}`] == 1 })
		})
	}
}
