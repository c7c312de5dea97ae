//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// window is a terminal with an interactive shell in it, and perhaps a master.
type window struct {
	*master
	keyboard *os.File // and screen
}

// openWindow starts the shell. The log of the master is on the screen.
func openWindow(t *testing.T, lines ...string) *window {
	t.Helper()
	keyboard, tty := openTerminal(t)
	defer tty.Close()
	w := &window{keyboard: keyboard}
	w.master = start(t, launch{
		config:   config(append(lines, "[log]", `format = "json"`)...),
		terminal: tty,
		whole:    []string{"bash", "--norc", "--noprofile", "-i"},
		env:      []string{"PS1=$ ", "TERM=dumb", "HISTFILE="},
	})
	go w.read(keyboard)
	// Before the shell would have to be asked to stop, which it does not.
	t.Cleanup(w.close)
	return w
}

// openTerminal makes a pair of pseudo terminals, pty(7), that changes no byte on
// its way to the screen.
func openTerminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	connErr := conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil || connErr != nil {
		t.Fatal(err, connErr)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return keyboard, tty
}

// press types what a person would.
func (w *window) press(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w.keyboard, text); err != nil {
		w.t.Fatal(err)
	}
}

// run types a command in which GOSUPER stands for the master, and returns the pid of
// that when it is ready.
func (w *window) run(command string) int {
	w.t.Helper()
	w.press(strings.ReplaceAll(command, "GOSUPER", gosuper+" -c "+w.file) + "\n")
	w.wait(w.t, 0, "ready", nil)
	return w.wait(w.t, 0, "starting", nil).num("pid")
}

func (w *window) close() { w.keyboard.Close() }

// A terminal under "stty tostop" stops what writes to it from the background, and
// one that is read from there does so always.
func TestTerminalBackground(t *testing.T) {
	w := openWindow(t, command(as("loud", "100")...))
	// Somebody in the same job reads from the terminal, on which the kernel sends
	// SIGTTIN to all of it.
	now := filepath.Join(t.TempDir(), "now")
	reader := "until [ -e " + now + " ]; do sleep 0.01; done; exec -a reader-" + w.tag + " cat /dev/tty"
	pid := w.run("stty tostop; { GOSUPER & bash -c '" + reader + "' ; wait; } &")
	if err := os.WriteFile(now, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 4 { // every worker writes when it starts
		if _, body, err := w.get("/"); err != nil || body != "generation 1\n" {
			t.Fatalf("a worker answers %q, %v", body, err)
		}
	}
	eventually(t, "the reader is stopped", func() bool {
		for other, what := range marked(w.tag) {
			if strings.HasPrefix(what, "reader-") && strings.HasPrefix(status(other)["State"], "T") {
				return true
			}
		}
		return false
	})
	// A person's signal counts.
	if err := syscall.Kill(pid, syscall.SIGTTOU); err != nil {
		t.Fatal(err)
	}
	w.wait(t, 0, "scaled", nil)
	if all := w.all(0, "scaled", nil); len(all) != 1 || all[0].num("from") != 2 || all[0].num("workers") != 1 {
		t.Errorf("scaled %v", all)
	}
	from := w.mark()
	if err := syscall.Kill(pid, syscall.SIGTTIN); err != nil {
		t.Fatal(err)
	}
	w.wait(t, from, "scaled", match{"from": 1, "workers": 2})
}

// Whoever closes the window wants what is in it to end, and nobody to lose a
// request.
func TestTerminalClosed(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"background": "GOSUPER &",
		"front":      "GOSUPER",
		"tostop":     "stty tostop; GOSUPER &",
		"exec":       "exec GOSUPER",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWindow(t)
			w.run(command)
			answer, err := http.Get("http://" + w.addr() + "/sleep?d=300ms")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			w.close()
			if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "slept\n" {
				t.Errorf("the request in flight is answered %q, %v", body, err)
			}
			w.gone(testTimeout)
		})
	}
}

// What was started to outlive the window does, and reloads when it is asked to.
func TestTerminalOutlived(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"nohup":  "nohup GOSUPER >/dev/null 2>&1 &",
		"disown": "GOSUPER >/dev/null 2>&1 & disown",
		"setsid": "setsid GOSUPER >/dev/null 2>&1 &",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWindow(t)
			w.transcript = newTranscript() // apart from the screen, which ends
			w.rewrite(strings.Replace(config("[log]", `format = "json"`), "[log]", fmt.Sprintf("[log]\nfile = %q", w.fifo()), 1))
			pid := w.run(command)
			w.close()
			<-w.exited           // the shell, which has told its jobs by then
			if name == "nohup" { // else the two signals could become one
				w.wait(t, 0, "the terminal is gone, which is ignored as SIGHUP was at the start", nil)
			}
			from := w.mark()
			if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			w.wait(t, from, "reload done", nil)
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			w.gone(testTimeout)
		})
	}
}

// The workers are in other sessions, so that Ctrl-C reaches the master alone.
func TestTerminalInterrupted(t *testing.T) {
	w := openWindow(t)
	pid := w.run("GOSUPER")
	w.press("\x03")
	w.wait(t, 0, "stopped", nil)
	eventually(t, "only the shell is left", func() bool {
		left := marked(w.tag)
		return len(left) == 1 && left[w.pid()] != "" && left[pid] == ""
	})
}
