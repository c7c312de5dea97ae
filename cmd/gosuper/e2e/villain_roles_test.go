//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker"
	"github.com/gosuper/gosuper/worker/protocol"
)

// villain is a good worker, but for the one in slot 0: that one does all that it can
// against the others and the master. It serves as well, and all write to the file whom they
// have accepted.
func villain(args []string) error {
	accepted, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	slot := os.Getenv(protocol.EnvSlot)
	note := func(c net.Conn) { fmt.Fprintln(accepted, slot, c.RemoteAddr(), time.Now().UnixNano()) }
	if slot != "0" {
		return worker.Serve(&http.Server{Handler: newHandler(), ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateNew {
				note(c)
			}
		}}, "")
	}
	signal.Ignore()
	socket, err := unix.FcntlInt(3, unix.F_DUPFD_CLOEXEC, 10)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(socket), "listener")
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return err
	}
	given := map[string]string{} // what package worker has taken out of the environment
	environ, _ := os.ReadFile("/proc/self/environ")
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		given[name] = value
	}
	// Package worker closes the one that it was given when it has made its own of it.
	pair, err := strconv.Atoi(given[protocol.EnvNotifyFD])
	if err == nil {
		pair, err = unix.FcntlInt(uintptr(pair), unix.F_DUPFD_CLOEXEC, 10)
	}
	if err != nil {
		return err
	}
	if err := worker.Ready(); err != nil {
		return err
	}
	v := &villainy{given: given, socket: socket, pair: pair}
	for _, one := range []struct {
		every time.Duration
		do    func()
	}{
		{20 * time.Millisecond, v.joinGroups},
		{300 * time.Millisecond, v.leaveBehind},
		{time.Millisecond, v.speak},
		{time.Millisecond, v.speakForOthers},
		{0, v.shout},
		{time.Millisecond, v.forgeAccess},
		{time.Millisecond, v.scribble},
		{5 * time.Millisecond, v.spoilSocket},
		{50 * time.Millisecond, v.takeMemory},
		{50 * time.Millisecond, func() { pry(os.Getppid()) }},
		{100 * time.Millisecond, v.signalMaster},
	} {
		go func() {
			for {
				one.do()
				time.Sleep(one.every) // else one of them would leave the others no processor
			}
		}()
	}
	return http.Serve(noted{listener, note}, newHandler())
}

// noted is a listener whose connections are noted first.
type noted struct {
	net.Listener
	note func(net.Conn)
}

func (n noted) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err == nil {
		n.note(c)
	}
	return c, err
}

// villainy is what a villain does. Each attempt may fail.
type villainy struct {
	given  map[string]string
	socket int
	pair   int // to the master
	behind []*exec.Cmd
}

// descriptor is one that the worker was given.
func (v *villainy) descriptor(name string) int {
	fd, err := strconv.Atoi(v.given[name])
	if err != nil {
		return -1
	}
	return fd
}

// siblings are the processes of the same master.
func siblings() (pids []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", os.Getppid()))
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (v *villainy) joinGroups() {
	syscall.Setpgid(0, 0)
	syscall.Setsid()
	for _, pid := range append(siblings(), os.Getppid()) {
		syscall.Setpgid(0, pid)
	}
}

// leaveBehind leaves processes in sessions of their own, not more than a few at a time.
func (v *villainy) leaveBehind() {
	cmd := exec.Command("sleep", "1000")
	cmd.Env, cmd.SysProcAttr = []string{"NONE=1"}, &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() != nil {
		return
	}
	if v.behind = append(v.behind, cmd); len(v.behind) > 10 {
		v.behind[0].Process.Kill()
		v.behind[0].Wait()
		v.behind = v.behind[1:]
	}
}

// reports are what a worker can say, and nonsense.
func reports() []byte {
	switch rand.IntN(6) {
	case 0:
		return []byte("X_GOSUPER_RECYCLE=storm")
	case 1:
		return []byte("READY=1\nSTOPPING=1\nSTATUS=\x1b[2J" + strconv.Itoa(rand.Int()))
	case 2:
		return []byte("BARRIER=1")
	case 3:
		return []byte("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=18446744073709551615")
	}
	return garbage(rand.IntN(2 * protocol.MaxNotify))
}

func garbage(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Int())
	}
	return b
}

// speak reports, with descriptors, on both ways.
func (v *villainy) speak() {
	unix.Sendmsg(v.pair, reports(), unix.UnixRights(0, 1, 2), nil, unix.MSG_DONTWAIT)
	v.say(v.given[protocol.EnvNotifySocket], reports())
}

// speakForOthers reports in their names.
func (v *villainy) speakForOthers() {
	for _, address := range endpoints() {
		v.say(address, reports())
		v.say(address, []byte("STOPPING=1\nX_GOSUPER_RECYCLE=betrayal"))
	}
}

func (v *villainy) say(address string, text []byte) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	unix.Sendto(fd, text, unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: address})
}

// shout writes to stdout and stderr what drives a terminal and looks like the master's.
func (v *villainy) shout() {
	const forged = `{"level":"info","time":"2026-01-01T00:00:00Z","msg":"stopped"}` + "\n"
	text := append([]byte("\x1b[2J\x1b]0;owned\x07"+strings.Repeat(forged, 10)), garbage(1000)...)
	os.Stdout.Write(text)
	os.Stderr.Write(text)
}

// forgeAccess writes lines into the access log that are not requests of this worker.
func (v *villainy) forgeAccess() {
	fd := v.descriptor(protocol.EnvAccessFD)
	unix.Write(fd, []byte("127.0.0.1 - - [02/Jan/2026:15:04:05 +0000] \"GET /forged HTTP/1.1\" 200 1 \"-\" \"-\" 0.1 0.1 2 \"-\" ok\n\x1b[2J"))
	unix.Write(fd, garbage(rand.IntN(10000)))
	unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 4096)
}

// scribble writes nonsense over what it shares with the master.
func (v *villainy) scribble() {
	maps, _ := os.ReadFile("/proc/self/maps")
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer mem.Close()
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var begin, end int64
		if strings.Contains(lines.Text(), "/memfd:") {
			if n, _ := fmt.Sscanf(lines.Text(), "%x-%x rw-s", &begin, &end); n == 2 {
				mem.WriteAt(garbage(64), begin+rand.Int64N(end-begin-64))
			}
		}
	}
}

// spoilSocket changes the socket that all accept from.
func (v *villainy) spoilSocket() {
	unix.SetNonblock(v.socket, false)
	unix.Listen(v.socket, 1)
}

// takeMemory takes more each time.
func (v *villainy) takeMemory() {
	unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
}

// signalMaster has the master stop, which only a process of another user may try.
func (v *villainy) signalMaster() {
	if fmt.Sprintf("%d", os.Getuid()) != strings.Fields(status(os.Getppid())["Uid"])[0] {
		syscall.Kill(os.Getppid(), syscall.SIGTERM)
		syscall.Kill(os.Getppid(), syscall.SIGSTOP)
	}
}
