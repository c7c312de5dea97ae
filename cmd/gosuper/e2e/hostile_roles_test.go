//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

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
	for fd := range 3 {
		for _, c := range []byte(args[0] + "\n") {
			if err = unix.IoctlSetPointerInt(fd, unix.TIOCSTI, int(c)); err != nil {
				break
			}
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
	handle("/scribble", func(_ http.ResponseWriter, r *http.Request) { go scribble(r.FormValue("as"), r.FormValue("format")) })
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

// scribble does to the access log what a worker can do to it, in the name of another
// one, and does not end.
func scribble(as, format string) {
	environ, _ := os.ReadFile("/proc/self/environ")
	_, after, _ := strings.Cut(string(environ), "GOSUPER_ACCESS_FD=")
	number, _, _ := strings.Cut(after, "\x00")
	fd, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	forged := `192.0.2.1 - - [02/Jan/2026:15:04:05 +0000] "GET /forged HTTP/1.1" 200 0 "-" "-" 0.1 0.1 ` + as + ` "-" ok` + "\n"
	if format == "json" {
		forged = `{"method":"GET","target":"/forged","status":200,"ended":"ok","worker":` + as + "}\n"
	}
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 4096)
	for {
		for _, text := range []string{forged, "\x1b[2J\n", strings.Repeat("half a line ", 30), strings.Repeat("\n", 4096)} {
			_, _ = unix.Write(fd, []byte(text))
		}
	}
}

// self0 is this program.
func self0() string { return os.Args[0] }

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
