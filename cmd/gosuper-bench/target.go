//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spec says how a target is started.
type spec struct {
	name    string   // the column of the table
	args    []string // the program and its arguments; descriptor 3 is the socket, unless it is told freePort
	copies  int      // processes; 0: one, which starts its workers and replaces them on SIGHUP
	mark    string   // what a part says when it is ready
	parts   int      // of one process, that say so
	workers int      // in all
	env     []string // besides that of this program
}

// freePort in the arguments of a server that binds its socket itself stands for a port
// that was free a moment ago.
const freePort = "{free port}"

// binding is the target with a socket of its own.
func (s spec) binding() spec {
	s.args = slices.Clone(s.args)
	for i, arg := range s.args {
		switch {
		case arg == "fd://3":
			s.args[i] = "127.0.0.1:" + freePort
		case arg == "--fd":
			s.args[i], s.args[i+1] = "--port", freePort
		}
	}
	return s
}

// supervised reports whether one process is the master of the others.
func (s spec) supervised() bool { return s.copies == 0 }

// gosuper runs the example agent, whose handlers end with their context.
func (b *bench) gosuper(workers int, flags ...string) spec {
	return b.gosuperWith(workers, []string{b.agent, "-debug"}, flags...)
}

// ours runs the agent that is also the bare one.
func (b *bench) ours(workers int, flags ...string) spec {
	return b.gosuperWith(workers, []string{self(), "agent"}, flags...)
}

// gosuperWith runs any agent.
func (b *bench) gosuperWith(workers int, agent []string, flags ...string) spec {
	args := []string{b.options.gosuper, "-b", "fd://3", "-w", strconv.Itoa(workers), "--log-format", "json"}
	return spec{
		name: "gosuper", args: slices.Concat(args, flags, []string{"--"}, agent),
		mark: `"msg":"ready"`, parts: 1, workers: workers,
	}
}

// few is a gosuper with two of its workers, which take two requests at a time.
func (s spec) few() spec {
	at := slices.Index(s.args, "-w")
	s.args = slices.Concat(s.args[:at], []string{"-w", "2", "--worker-connections", "2"}, s.args[at+2:])
	s.workers = 2
	return s
}

// bare is so many processes of net/http on one socket.
func (b *bench) bare(name string, copies int) spec {
	return spec{name: name, args: []string{self(), "agent", "--bare"}, copies: copies, mark: agentReady, parts: 1, workers: copies}
}

// gunicorn runs Uvicorn's worker class if it is installed, else its own default.
func (b *bench) gunicorn(workers int, flags ...string) []spec {
	program := filepath.Join(b.venv, "bin", "gunicorn")
	if b.venv == "" || !executable(program) {
		return nil
	}
	class, app := b.workerClass, "app:app"
	if class == "" {
		class, app = "sync", "wsgi"
	}
	args := []string{program, "-b", "fd://3", "-w", strconv.Itoa(workers), "-k", class, "--log-level", "warning"}
	return []spec{{
		name: "gunicorn", args: slices.Concat(args, flags, []string{app}),
		mark: agentReady, parts: workers, workers: workers,
	}}
}

func (b *bench) uvicorn(workers int, flags ...string) []spec {
	program := filepath.Join(b.venv, "bin", "uvicorn")
	if b.venv == "" || !executable(program) {
		return nil
	}
	args := []string{program, "--fd", "3", "--workers", strconv.Itoa(workers), "--log-level", "warning", "--no-access-log"}
	return []spec{{
		name: "uvicorn", args: slices.Concat(args, flags, []string{"app:app"}),
		mark: agentReady, parts: workers, workers: workers,
	}}
}

func executable(path string) bool { return unix.Access(path, unix.X_OK) == nil }

// target is a spec that runs.
type target struct {
	spec
	addr      string   // host:port
	socket    *os.File // nil: the target has bound its own
	processes []*process
	command   func() *exec.Cmd
	boot      time.Duration // from the start of the first process until all was ready
}

// start starts a target and waits until it is ready.
func (b *bench) start(ctx context.Context, s spec) (*target, error) {
	socket, addr, err := listen()
	if err != nil {
		return nil, err
	}
	t := &target{spec: s, addr: addr, socket: socket}
	_, port, _ := strings.Cut(addr, ":")
	bound := make([]string, len(s.args))
	for i, arg := range s.args {
		bound[i] = strings.Replace(arg, freePort, port, 1)
	}
	if !slices.Equal(bound, s.args) {
		s.args = bound
		socket.Close()
		t.socket = nil
	}
	t.command = func() *exec.Cmd {
		cmd := exec.Command(s.args[0], s.args[1:]...)
		cmd.Dir, cmd.Env = b.dir, slices.Concat(environ(), s.env)
		return cmd
	}
	began := time.Now()
	for range max(s.copies, 1) {
		p, err := begin(t.command(), t.socket, s.mark, s.parts)
		if err != nil {
			t.stop()
			return nil, err
		}
		t.processes = append(t.processes, p)
	}
	for _, p := range t.processes {
		if err := p.await(ctx); err != nil {
			t.stop()
			return nil, err
		}
	}
	if err := eventually(ctx, "nobody listens on "+addr, t.listens); err != nil {
		t.stop()
		return nil, err
	}
	t.boot = time.Since(began)
	if s.supervised() {
		socket.Close() // a master that dies takes the port with it
	}
	return t, nil
}

// listens reports whether the kernel takes connections for the target.
func (t *target) listens() bool {
	return t.socket != nil || dials(t.addr)
}

// dials reports whether the kernel takes connections for somebody at an address.
func dials(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func (t *target) stop() {
	t.socket.Close()
	end(t.processes)
}

func (t *target) roots() []int {
	pids := make([]int, len(t.processes))
	for i, p := range t.processes {
		pids[i] = p.pid()
	}
	return pids
}

// reload has all workers replaced. With a master that is its task, and only begins
// here. Bare processes are replaced as a careful script would do it, one by one, each
// when its successor is ready.
func (t *target) reload(ctx context.Context) error {
	if t.supervised() {
		return t.processes[0].cmd.Process.Signal(syscall.SIGHUP)
	}
	for i, old := range t.processes {
		p, err := begin(t.command(), t.socket, t.mark, t.parts)
		if err != nil {
			return err
		}
		t.processes[i] = p
		if err := p.await(ctx); err != nil {
			end([]*process{old})
			return err
		}
		old.cmd.Process.Signal(syscall.SIGTERM)
		if !old.ended(2 * stopTime) {
			end([]*process{old})
		}
	}
	return nil
}

// listen makes the listening socket of a target. It is made by hand because a
// socket of package net is non-blocking, and passing it to a child makes it blocking
// for everybody who shares it.
func listen() (*os.File, string, error) {
	fail := func(err error) (*os.File, string, error) { return nil, "", fmt.Errorf("cannot listen: %w", err) }
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	socket := os.NewFile(uintptr(fd), "socket")
	// Uvicorn does not set it on a socket that it inherits: that would stall its
	// answers by 40 ms.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		socket.Close()
		return fail(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		socket.Close()
		return fail(err)
	}
	if err := unix.Listen(fd, 2048); err != nil {
		socket.Close()
		return fail(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		socket.Close()
		return fail(err)
	}
	return socket, fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port), nil
}

// environ is the environment without what would change a target: settings of
// gosuper, and what an init system or a platform says to servers.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return strings.HasPrefix(name, "GOSUPER_") || strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "GUNICORN_") ||
			strings.HasPrefix(name, "UVICORN_") || slices.Contains([]string{"PORT", "WEB_CONCURRENCY", "NOTIFY_SOCKET", "WATCHDOG_USEC"}, name)
	})
}
