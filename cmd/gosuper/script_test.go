//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
)

// testTimeout is far more than anything takes; a test that waits so long hangs.
const testTimeout = time.Minute

// TestScript runs testdata/script. Besides the commands of testscript there are
//
//	start [-tty|-stuck] PROGRAM [ARG...]  run it in the background, stdout and stderr in the files out and err;
//	                                      -tty: stderr is a terminal; -stuck: stderr is a pipe that nobody reads
//	await FILE REGEXP [N]                 wait until the file has N matches, 1 if not said; the program must live
//	signal NAME                           send it a signal
//	ends STATUS                           wait for its exit status
//	listen NAME                           listen on a free port and put its address into $NAME
//	get unix:PATH REGEXP                  ask for / over the socket; the body must match
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[programKey{}] = new(program)
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != "privileged" {
				return false, fmt.Errorf("no condition %q", condition)
			}
			first, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
			return err == nil && strings.TrimSpace(string(first)) == "1024", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": cmdStart, "await": cmdAwait, "signal": cmdSignal, "ends": cmdEnds, "listen": cmdListen, "get": cmdGet,
		},
	})
}

// program is what the script has started last.
type program struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

type programKey struct{}

func programOf(ts *testscript.TestScript) *program { return ts.Value(programKey{}).(*program) }

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	how := ""
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		how, args = args[0], args[1:]
	}
	if neg || len(args) == 0 {
		ts.Fatalf("usage: start [-tty|-window|-stuck] PROGRAM [ARG...]")
	}
	cmd := &exec.Cmd{Path: lookPath(ts, args[0]), Args: args, Dir: ts.MkAbs("."), Env: environ(ts)}
	out, err := os.Create(ts.MkAbs("out"))
	ts.Check(err)
	defer out.Close()
	stderr, after := openStderr(ts, how)
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = out, stderr
	if how == "-window" { // a terminal for both, as people have it
		cmd.Stdout = stderr
	}
	ts.Check(cmd.Start())
	done := make(chan struct{})
	*programOf(ts) = program{cmd, done}
	go func() {
		cmd.Wait()
		after()
		close(done)
	}()
	ts.Defer(func() {
		cmd.Process.Kill()
		<-done
	})
}

// environ is what the script has set, as far as gosuper looks at it.
func environ(ts *testscript.TestScript) []string {
	names := []string{"PATH", "HOME", "TMPDIR", "TERM", "NO_COLOR", "PORT", "VIRTUAL_ENV", "WEB_CONCURRENCY"}
	for _, k := range config.Keys() {
		names = append(names, k.Env)
	}
	var environ []string
	for _, name := range names {
		if value := ts.Getenv(name); value != "" {
			environ = append(environ, name+"="+value)
		}
	}
	return environ
}

func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name); unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	ts.Fatalf("no %s in PATH", name)
	return ""
}

// openStderr returns stderr for a program, and what to do when it has ended.
func openStderr(ts *testscript.TestScript, how string) (*os.File, func()) {
	if how == "-stuck" {
		r, w := fullPipe(ts)
		return w, func() { r.Close() }
	}
	log, err := os.Create(ts.MkAbs("err"))
	ts.Check(err)
	if how == "" {
		return log, func() {}
	}
	master, slave, err := openTerminal()
	ts.Check(err)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		io.Copy(log, master) // ends in EIO when the last slave is closed
	}()
	return slave, func() { <-copied; master.Close(); log.Close() }
}

// fullPipe makes a pipe that takes no further byte.
func fullPipe(ts *testscript.TestScript) (r, w *os.File) {
	fds := make([]int, 2)
	ts.Check(unix.Pipe2(fds, unix.O_CLOEXEC|unix.O_NONBLOCK))
	var err error
	for chunk := make([]byte, 4096); err == nil; {
		_, err = unix.Write(fds[1], chunk)
	}
	if err != unix.EAGAIN {
		ts.Fatalf("cannot fill a pipe: %v", err)
	}
	ts.Check(unix.SetNonblock(fds[1], false))
	return os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
}

// openTerminal makes a pseudo-terminal.
func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await FILE REGEXP [N]")
	}
	want, n := regexp.MustCompile("(?m)"+args[1]), 1
	if len(args) == 3 {
		_, err := fmt.Sscan(args[2], &n)
		ts.Check(err)
	}
	p := programOf(ts)
	var text []byte
	for start := time.Now(); time.Since(start) < testTimeout; {
		ended := false
		select {
		case <-p.done:
			ended = true
		case <-time.After(2 * time.Millisecond): // between two looks at a file
		}
		var err error
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Check(err)
		}
		if len(want.FindAll(text, n)) == n {
			return
		}
		if ended {
			ts.Fatalf("the program ended (%v) before %s had %d of %s:\n%s", p.cmd.ProcessState, args[0], n, want, text)
		}
	}
	ts.Fatalf("waited in vain for %d of %s in %s:\n%s", n, want, args[0], text)
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || unix.SignalNum("SIG"+args[0]) == 0 {
		ts.Fatalf("usage: signal NAME")
	}
	ts.Check(programOf(ts).cmd.Process.Signal(unix.SignalNum("SIG" + args[0])))
}

func cmdEnds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ends STATUS")
	}
	p := programOf(ts)
	select {
	case <-p.done:
	case <-time.After(testTimeout):
		p.cmd.Process.Signal(syscall.SIGABRT)
		<-p.done
		text, _ := os.ReadFile(ts.MkAbs("err")) // there is none with -stuck
		ts.Fatalf("it does not end:\n%s", text)
	}
	if got := fmt.Sprint(p.cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("ended with %v, not %s", p.cmd.ProcessState, args[0])
	}
}

func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	path, unix := "", false
	if len(args) == 2 {
		path, unix = strings.CutPrefix(args[0], "unix:")
	}
	if neg || !unix {
		ts.Fatalf("usage: get unix:PATH REGEXP")
	}
	client := http.Client{Timeout: testTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", ts.MkAbs(path))
		},
	}}
	res, err := client.Get("http://script/")
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if !regexp.MustCompile("(?m)" + args[1]).Match(body) {
		ts.Fatalf("the answer is %q", body)
	}
}

func cmdListen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listen NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}
