//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pry tries what a process may do to another one of its user that left itself open,
// and returns what comes of it: "" where it works. The process goes on as before.
func pry(pid int) map[string]string {
	proc := fmt.Sprintf("/proc/%d/", pid)
	open := func(name string) error {
		f, err := os.Open(proc + name)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return map[string]string{"pidfd_open": err.Error()}
	}
	defer unix.Close(handle)
	tricks := map[string]func() error{
		"memory":      func() error { return open("mem") },
		"environment": func() error { return open("environ") },
		"descriptors": func() error { return open("fd") },
		"executable": func() error {
			_, err := os.Readlink(proc + "exe")
			return err
		},
		"pidfd_getfd": func() error {
			fd, err := unix.PidfdGetfd(handle, 0, 0)
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		},
		"ptrace": func() error {
			runtime.LockOSThread() // whoever traces is a thread
			defer runtime.UnlockOSThread()
			if err := unix.PtraceAttach(pid); err != nil {
				return err
			}
			if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != nil {
				return err
			}
			return unix.PtraceDetach(pid)
		},
	}
	results := map[string]string{}
	for name, trick := range tricks {
		results[name] = ""
		if err := trick(); errors.Is(err, os.ErrPermission) {
			results[name] = "denied"
		} else if err != nil {
			results[name] = err.Error()
		}
	}
	return results
}

// handlePry answers what can be done to the process with the pid.
func handlePry(handle func(string, http.HandlerFunc)) {
	handle("/pry", func(w http.ResponseWriter, r *http.Request) {
		pid, _ := strconv.Atoi(r.FormValue("pid"))
		json.NewEncoder(w).Encode(pry(pid))
	})
}

// pried has the worker of a slot pry into a process, and returns what worked and what
// did not.
func (m *master) pried(slot, pid int) (allowed, denied []string) {
	m.t.Helper()
	var results map[string]string
	if err := json.Unmarshal([]byte(m.ask(m.workers()[slot], fmt.Sprintf("/pry?pid=%d", pid))), &results); err != nil {
		m.t.Fatal(err)
	}
	for name, result := range results {
		switch result {
		case "":
			allowed = append(allowed, name)
		case "denied":
			denied = append(denied, name)
		default:
			m.t.Errorf("%s: %s", name, result)
		}
	}
	return allowed, denied
}

// A worker of the master's own user, who is not root, gets nothing out of the master,
// after upgrades neither; workers stay open to each other and to debuggers; and the
// master can do all that it could.
func TestPry(t *testing.T) {
	t.Parallel()
	p, how := mortal(t)
	how.binary = filepath.Join(p.dir, "master")
	install(t, gosuper, how.binary)
	how.config = config(fmt.Sprintf("name = \"closed-%d\"", os.Getpid()), `control = { socket = "auto" }`, admin("127.0.0.1:0"))
	m := start(t, how)
	os.Chmod(filepath.Dir(m.file), 0o755)
	m.wait(t, 0, "ready", nil)
	closed := func() {
		t.Helper()
		if allowed, denied := m.pried(0, m.pid()); len(allowed) > 0 || len(denied) == 0 {
			t.Errorf("a worker gets at the master's %s", strings.Join(allowed, ", "))
		}
	}
	closed()
	// The same tricks work on the other worker, unless Yama forbids some for all.
	yama, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if _, denied := m.pried(0, m.workers()[1]); len(denied) > 0 && (err != nil || yama[0] == '0') {
		t.Errorf("it does not get at the other worker's %s", strings.Join(denied, ", "))
	}
	for range 3 {
		from := m.mark()
		p.expects(0, "upgraded from .*", "", "upgrade", "-c", m.file)
		m.wait(t, from, "upgraded", match{"pid": m.pid()})
		closed()
	}
	for _, pid := range m.workers() {
		// Whom the kernel makes their owner says whether it leaves a core file.
		var environ unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("/proc/%d/environ", pid), &environ); err != nil || fmt.Sprint(environ.Uid) != strings.Fields(status(m.pid())["Uid"])[0] {
			t.Errorf("the files of worker %d in /proc belong to user %d, %v", pid, environ.Uid, err)
		}
	}
	p.expects(0, ".* ready .*", "", "status", "-c", m.file)
	p.expects(0, ".*", "", "health", "--ready", "-c", m.file)
	p.expects(0, ".*", "", "check", "-c", m.file)
	p.expects(0, "reload done.*", ".*", "reload", "--wait", "-c", m.file)
	closed()
	// Which workers are plain, and that they wait on their socket, is seen in /proc.
	m.rewrite(config(command(plain), `ready = "auto"`))
	m.reload()
	if n := len(m.all(0, "", match{"level": "warn"})); n > 0 {
		t.Errorf("%d warnings", n)
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
