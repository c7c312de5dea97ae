//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// ask has one certain worker answer.
func (m *master) ask(pid int, path string) string {
	m.t.Helper()
	for {
		answer, body, err := m.get(path + "&only=" + strconv.Itoa(pid))
		if err != nil {
			m.t.Fatal(err)
		}
		switch answer.StatusCode {
		case http.StatusMisdirectedRequest:
		case http.StatusOK:
			return body
		default:
			m.t.Fatalf("%s: %s: %s", path, answer.Status, body)
		}
	}
}

// alive says whether there is such a process, and no zombie.
func alive(pid int) bool {
	state := status(pid)["State"]
	return state != "" && !strings.HasPrefix(state, "Z")
}

// A worker can neither leave its process group nor put a process into that of another
// worker, and what it says in the name of another one is not believed.
func TestHostileNeighbour(t *testing.T) {
	as("shout") // by the workers
	for _, user := range []string{"", "65534"} {
		t.Run("user "+user, func(t *testing.T) {
			if user != "" {
				needRoot(t)
			}
			m := up(t, `chdir = "/usr"`, fmt.Sprintf("user = %q", user), "[log]", `level = "debug"`)
			attacker, victim := m.workers()[0], m.workers()[1]
			got := m.ask(attacker, fmt.Sprintf("/join?group=%d&text=READY%%3D1%%0AX_GOSUPER_RECYCLE%%3Dbetrayal", victim))
			const denied = "operation not permitted\n"
			if want := "leave: " + denied + "join: " + denied + "join: " + denied; got != want {
				t.Errorf("the attacker got\n%s", got)
			}
			// What was said before at the same address is heard before.
			m.ask(victim, "/say?text=STATUS%3Din+peace")
			m.wait(t, 0, "worker status", match{"pid": victim, "status": "in peace"})
			for _, e := range m.all(0, "worker started", match{"reason": "betrayal"}) {
				t.Errorf("the attacker has the victim replaced: %s", e.line)
			}
		})
	}
}

// Workers that wish to be replaced as soon as they serve, as their predecessors did,
// are so once in each slot, whatever they say why.
func TestHostileWishes(t *testing.T) {
	for _, reason := range []string{"tired", "max_requests"} {
		t.Run(reason, func(t *testing.T) {
			m := up(t, "drain_timeout = 1", "[restart]", `reset_after = "1h"`, "[log]", `level = "debug"`)
			granted := func(slot int) int { return len(m.all(0, "worker started", match{"reason": reason, "slot": slot})) }
			for round := range 5 {
				from, slots := m.mark(), m.workers()
				for _, pid := range slots {
					heard := fmt.Sprint("heard-", round)
					m.ask(pid, "/say?text=STATUS%3D"+heard+"%0AX_GOSUPER_RECYCLE%3D"+reason)
					m.wait(t, from, "worker status", match{"pid": pid, "status": heard})
				}
				for slot, pid := range slots {
					if round == 0 {
						m.wait(t, from, "worker gone", match{"pid": pid})
					}
					if n := granted(slot); n != 1 {
						t.Fatalf("in slot %d %d workers were granted their wish to be replaced, want 1", slot, n)
					}
				}
			}
			if m.signal(syscall.SIGTERM); m.end() != 0 || granted(0) != 1 || granted(1) != 1 {
				t.Errorf("in slots 0 and 1 %d and %d workers were granted their wish to be replaced, want 1 each", granted(0), granted(1))
			}
		})
	}
}

// A worker that shrinks and fills its end of the access log, writes half lines and those
// of others there, and commands for a terminal, does not cost its neighbour a line.
func TestHostileScribbler(t *testing.T) {
	for _, tc := range accessFormats {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			m := up(t, "[log]", fmt.Sprintf("access_file = %q", path), fmt.Sprintf("access_format = %q", tc.name))
			attacker, victim := m.workers()[0], m.workers()[1]
			var its facts
			if err := json.Unmarshal([]byte(m.ask(victim, "/facts?")), &its); err != nil {
				t.Fatal(err)
			}
			m.ask(attacker, fmt.Sprintf("/scribble?format=%s&as=%s", tc.name, its.Env["GOSUPER_WORKER_ID"]))
			const requests = 200
			want := map[string]bool{}
			for i := range requests {
				path := fmt.Sprintf("/?n=%d", i)
				m.ask(victim, path)
				want[fmt.Sprintf("%s&only=%d", path, victim)] = true
			}
			m.stopped(nil)
			lines := 0
			for _, one := range records(t, path, tc.parse) {
				lines++
				if one.Status == http.StatusOK {
					delete(want, one.Target)
				}
				if one.Target == "/forged" {
					t.Error("the attacker has written a line in the name of its neighbour")
				}
			}
			if len(want) > 0 {
				t.Errorf("%d of %d lines of the neighbour are not among the %d that there are", len(want), requests, lines)
			}
			m.wait(t, 0, "lines of the access log are lost", nil)
		})
	}
}

// A worker of another user has not the keys of the master, and gains no privileges.
func TestHostileKeys(t *testing.T) {
	needRoot(t)
	for _, tc := range []struct {
		user, limits string
		key, noPrivs string
	}{
		{user: "", key: "secret", noPrivs: "0"},
		{user: "0", key: "secret", noPrivs: "1"},
		{user: "65534", key: "required key not available", noPrivs: "1"},
		{user: "65534", limits: "no_new_privs = false", key: "required key not available", noPrivs: "0"},
		{user: "", limits: "no_new_privs = true", key: "secret", noPrivs: "1"},
	} {
		t.Run(fmt.Sprintf("user %s %s", tc.user, tc.limits), func(t *testing.T) {
			m := start(t, launch{
				before: as("keyholder"),
				config: config(`chdir = "/usr"`, fmt.Sprintf("user = %q", tc.user), "[limits]", tc.limits),
			})
			m.wait(t, 0, "ready", nil)
			if _, key, err := m.get("/key"); err != nil || key != tc.key {
				t.Errorf("the key is %q, %v, want %q", key, err, tc.key)
			}
			if got := status(m.workers()[0])["NoNewPrivs"]; got != tc.noPrivs {
				t.Errorf("NoNewPrivs is %s, want %s", got, tc.noPrivs)
			}
			if got := status(m.pid())["NoNewPrivs"]; got != "0" {
				t.Errorf("NoNewPrivs of the master is %s", got)
			}
		})
	}
}

// A worker that types into the terminal of its master reaches nobody: it has no
// descriptor of it.
func TestHostileTypist(t *testing.T) {
	needRoot(t)
	file := filepath.Join(t.TempDir(), "typed")
	w := openWindow(t, "workers = 1", `chdir = "/usr"`, `user = "65534"`, command(as("typist", "touch "+file)...))
	pid := w.run("GOSUPER")
	w.await(t, "what came of typing", func() bool { return strings.Contains(w.String(), "typing: ") })
	for _, want := range []string{"opening: open /dev/tty: no such device or address", "typing: inappropriate ioctl for device"} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("it is not told: %s", want)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.wait(t, 0, "stopped", nil)
	// The shell reads its next command behind what was typed before.
	w.press("echo the e''nd\n")
	w.await(t, "the shell", func() bool { return strings.Contains(w.String(), "the end") })
	if _, err := os.Stat(file); err == nil {
		t.Error("root's shell has run what the worker typed")
	}
}

// A process that a worker has left behind, and that nothing tells whose it is, ends
// with the last of the workers that it can be from.
func TestHostileOutcast(t *testing.T) {
	m := up(t)
	workers := m.workers()
	outcast, err := strconv.Atoi(strings.TrimSpace(m.ask(workers[0], "/outcast?")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(outcast, syscall.SIGKILL) })
	from := m.mark()
	if err := syscall.Kill(workers[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.wait(t, from, "worker crashed", match{"pid": workers[1]})
	successor := m.wait(t, from, "worker ready", nil).num("pid")
	if !alive(outcast) {
		t.Error("it ends with a worker that it is not from")
	}
	// The successor may have been ready before anybody saw the process.
	for _, pid := range []int{workers[0], successor} {
		from = m.mark()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.wait(t, from, "worker crashed", match{"pid": pid})
	}
	eventually(t, "the process that was left behind is gone", func() bool { return !alive(outcast) })
}

// What a worker takes in another session counts, and ends with it, though it hides
// whose it is.
func TestHostileHoard(t *testing.T) {
	as("hoard", "") // by the worker
	m := up(t, "workers = 1", `max_worker_memory_hard = "400MiB"`)
	pid := m.workers()[0]
	f := m.fly("/hoard?mb=600")
	var hoarder int
	if _, err := fmt.Fscan(f.answer.Body, &hoarder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(hoarder, syscall.SIGKILL) })
	m.wait(t, 0, "killing worker", match{"pid": pid, "reason": "memory"})
	m.wait(t, 0, "worker crashed", match{"pid": pid})
	eventually(t, "the process that takes the memory is gone", func() bool { return !alive(hoarder) })
	for _, e := range m.all(0, "worker left a process behind, which is ended: see limits.outlive", nil) {
		t.Errorf("it was not ended with its worker: %s", e.line)
	}
}

// A master that cannot end a worker does not say that all is well.
func TestHostileImmortal(t *testing.T) {
	needRoot(t)
	_, how := mortal(t)
	program := filepath.Join(t.TempDir(), "risen")
	if err := copyFile(program, self); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	if err == nil {
		err = os.Remove(program) // it may be a link
	}
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err == nil {
		err = os.Chmod(program, 0o755|os.ModeSetuid)
	}
	if err != nil {
		t.Fatal(err)
	}
	how.config = config("workers = 1", command(append([]string{program}, as("risen")[1:]...)...), `graceful_timeout = "100ms"`)
	m := start(t, how)
	m.wait(t, 0, "ready", nil)
	pid := m.workers()[0]
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	m.await(t, "the error", func() bool {
		return strings.Contains(m.String(), fmt.Sprintf("gosuper: error: workers do not die of SIGKILL: process %d\ngosuper: hint: ", pid))
	})
	if n := len(m.all(0, "stopped", nil)); n > 0 {
		t.Error("it says that it has stopped, as if nothing had happened")
	}
}
