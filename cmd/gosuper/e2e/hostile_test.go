//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker"
)

// shout tries to join the process group of its first argument, prints what comes of
// that, and says the second one at the addresses that follow. It lives on, for of a
// process that is gone the master cannot know whose it was.
func shout(args []string) error {
	group, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println("join:", syscall.Setpgid(0, group))
	for _, address := range args[2:] {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err == nil {
			err = unix.Sendto(fd, []byte(args[1]), 0, &unix.SockaddrUnix{Name: address})
		}
		if err != nil {
			return err
		}
	}
	fmt.Println("said")
	return unix.Pause()
}

// hoard takes so many MiB for good, and prints when it has them.
func hoard(args []string) error {
	mb, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	block, err := unix.Mmap(-1, 0, mb<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return err
	}
	fmt.Println(len(block) >> 20)
	return unix.Pause()
}

// typist is a worker that types a command into the terminal it was given, and a
// terminal that it opens, and says what comes of that.
func typist(args []string) error {
	_, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	fmt.Fprintln(os.Stderr, "opening:", err)
	for _, c := range []byte(args[0] + "\n") {
		if err = unix.IoctlSetPointerInt(1, unix.TIOCSTI, int(c)); err != nil {
			break
		}
	}
	fmt.Fprintln(os.Stderr, "typing:", err)
	return worker.ListenAndServe("", newHandler())
}

// risen is a worker of root, started by another user from a file with the setuid bit.
func risen([]string) error {
	if err := syscall.Setreuid(0, 0); err != nil {
		return err
	}
	return deaf(nil)
}

// endpoints are the addresses where the workers of this one's master report: all
// users can read them. The first is its own.
func endpoints() (all []string) {
	text, _ := os.ReadFile("/proc/net/unix")
	environ, _ := os.ReadFile("/proc/self/environ")
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		address := fields[len(fields)-1]
		switch {
		case !strings.HasPrefix(address, fmt.Sprintf("@gosuper-%d-", os.Getppid())):
		case strings.Contains(string(environ), "NOTIFY_SOCKET="+address+"\x00"):
			all = slices.Insert(all, 0, address)
		default:
			all = append(all, address)
		}
	}
	return all
}

// handleHostile answers what a worker can be made to do to others.
func handleHostile(handle func(string, http.HandlerFunc)) {
	run := func(w http.ResponseWriter, words ...string) {
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			http.Error(w, err.Error()+": "+string(out), http.StatusInternalServerError)
			return
		}
		w.Write(out)
	}
	speak := func(w http.ResponseWriter, group, text string, addresses ...string) {
		cmd := exec.Command(self0(), append([]string{"as", "shout", group, text}, addresses...)...)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "said"; {
			fmt.Fprintln(w, lines.Text())
		}
	}
	handle("/join", func(w http.ResponseWriter, r *http.Request) {
		group, _ := strconv.Atoi(r.FormValue("group"))
		fmt.Fprintln(w, "leave:", syscall.Setpgid(0, 0))
		fmt.Fprintln(w, "join:", syscall.Setpgid(0, group))
		speak(w, r.FormValue("group"), r.FormValue("text"), endpoints()[1:]...)
	})
	handle("/say", func(w http.ResponseWriter, r *http.Request) {
		speak(w, "0", r.FormValue("text"), endpoints()[0])
	})
	// A process that nothing ties to the worker but that it descends from it, or did
	// until its parent ended.
	handle("/outcast", func(w http.ResponseWriter, _ *http.Request) {
		run(w, "sh", "-c", "env -i setsid sleep 1000 >/dev/null 2>&1 & echo $!")
	})
	handle("/key", func(w http.ResponseWriter, _ *http.Request) {
		text := make([]byte, 100)
		id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", "e2e", 0)
		n := 0
		if err == nil {
			n, err = unix.KeyctlBuffer(unix.KEYCTL_READ, id, text, 0)
		}
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		w.Write(text[:n])
	})
	handle("/hoard", func(w http.ResponseWriter, r *http.Request) {
		cmd := exec.Command(self0(), "as", "hoard", r.FormValue("mb"))
		cmd.Env, cmd.SysProcAttr = []string{"NONE=1"}, &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, cmd.Process.Pid)
		http.NewResponseController(w).Flush()
		out.Read(make([]byte, 1))
	})
}

// self0 is this program.
func self0() string { return os.Args[0] }

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

// keyholder puts a secret into a session keyring of its own and becomes its arguments.
func keyholder(args []string) error {
	runtime.LockOSThread() // credentials are those of a thread, and of what it execs
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil {
		return err
	}
	if _, err := unix.AddKey("user", "e2e", []byte("secret"), unix.KEY_SPEC_SESSION_KEYRING); err != nil {
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
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

// A worker that types into the terminal of its master reaches nobody.
func TestHostileTypist(t *testing.T) {
	needRoot(t)
	file := filepath.Join(t.TempDir(), "typed")
	w := openWindow(t, "workers = 1", `chdir = "/usr"`, `user = "65534"`, command(as("typist", "touch "+file)...))
	pid := w.run("GOSUPER")
	w.await(t, "what came of typing", func() bool { return strings.Contains(w.String(), "typing: ") })
	for _, want := range []string{"opening: open /dev/tty: no such device or address", "typing: operation not permitted"} {
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
	m.wait(t, from, "worker ready", nil)
	if !alive(outcast) {
		t.Error("it ends with a worker that it is not from")
	}
	from = m.mark()
	if err := syscall.Kill(workers[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.wait(t, from, "worker crashed", match{"pid": workers[0]})
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
