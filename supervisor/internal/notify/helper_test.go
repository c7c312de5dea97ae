//go:build linux

package notify

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// helperVariable names the helper that a re-executed test binary is to run.
const helperVariable = "NOTIFY_TEST_HELPER"

// noExitSleep keeps the race detector of a helper from waiting a second before it exits.
const noExitSleep = "GORACE=atexit_sleep_ms=0"

// testTimeout is the absurd cap on waiting for an event that comes at once.
const testTimeout = 60 * time.Second

// helpers are programs that tests run as real processes.
var helpers = map[string]func(){
	"say":    helperSay,
	"parent": helperParent,
	"orphan": helperOrphan,
	"flood":  helperFlood,
	"master": helperMaster,
	"worker": helperWorker,
}

var helpersUsed = make(map[string]bool)

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv(helperVariable); ok {
		helpers[name]()
		os.Exit(0)
	}
	code := m.Run()
	if filtered := slices.ContainsFunc(os.Args, func(a string) bool {
		return strings.HasPrefix(a, "-test.run=") || strings.HasPrefix(a, "-test.bench=") || strings.HasPrefix(a, "-test.fuzz")
	}); code == 0 && !filtered {
		for name := range helpers {
			if !helpersUsed[name] {
				fmt.Fprintf(os.Stderr, "no test runs the helper %q\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// helper is a command that runs a helper in a session of its own, as a worker is.
func helper(name string, env ...string) *exec.Cmd {
	helpersUsed[name] = true
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), env...), helperVariable+"="+name, noExitSleep)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// A process is a helper that runs and is told what to do, a line at a time.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	out.(*os.File).SetReadDeadline(time.Now().Add(testTimeout))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		watchdog := time.AfterFunc(testTimeout, func() { cmd.Process.Kill() })
		cmd.Wait()
		watchdog.Stop()
	})
	return &process{cmd, in, bufio.NewReader(out)}
}

// ask sends a line and returns the answer.
func (p *process) ask(t *testing.T, line string) string {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		t.Fatal(err)
	}
	return p.line(t)
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	answer, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("helper: %v", err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// helperSay sends each line it reads to NOTIFY_SOCKET. Its name is made to confuse readers of /proc/pid/stat.
func helperSay() {
	if err := os.WriteFile("/proc/self/comm", []byte(") S 1 ("), 0); err != nil {
		fmt.Println(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(sendTo(os.Getenv(protocol.EnvNotifySocket), lines.Text()))
	}
}

// helperParent runs a descendant in a session of its own and waits for it.
func helperParent() {
	cmd := helper("say")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
	}
}

// helperOrphan has a process of its session speak that is in another group, and whose parent has ended. It says
// first which one that is.
func helperOrphan() {
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	cmd := exec.Command("bash", "-c", `set -m; "$0" <&3 & echo $!`, self)
	cmd.Env = append(os.Environ(), helperVariable+"=say")
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{os.Stdin}, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
	}
	unix.Pause() // it lives on, and is none of its ancestors
}

// helperFlood sends statuses on GOSUPER_NOTIFY_FD or NOTIFY_SOCKET, as many as it is told and as fast as it can, and
// READY and RECYCLE at the end.
func helperFlood() {
	n, err := strconv.Atoi(os.Getenv("FLOOD"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fd := 3
	if address := os.Getenv(protocol.EnvNotifySocket); address != "" {
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: address})
		}
	}
	for i := range n {
		if err == nil {
			_, err = unix.Write(fd, []byte("STATUS="+strconv.Itoa(i)))
		}
	}
	for _, text := range []string{"READY=1", "X_GOSUPER_RECYCLE=memory"} {
		if err == nil {
			_, err = unix.Write(fd, []byte(text))
		}
	}
	fmt.Println(err)
}

// helperMaster is a master with one worker, which outlives it. It never ends.
func helperMaster() {
	e, err := New()
	if err != nil {
		fmt.Println(err)
		return
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, helperVariable+"=") })
	pid, err := syscall.ForkExec(self, []string{"worker"}, &syscall.ProcAttr{
		Env:   append(env, helperVariable+"=worker"),
		Files: []uintptr{0, 1, 2, uintptr(e.ChildFd())},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := e.CloseChild(); err != nil {
		fmt.Println(err)
	}
	e.Serve(pid, func(m Message) bool {
		fmt.Printf("%+v\n", m)
		return true
	})
	select {}
}

// helperWorker waits for the hang-up of its notify descriptor.
func helperWorker() {
	if _, err := unix.Write(3, []byte("READY=1")); err != nil {
		fmt.Println(err)
	}
	n, err := unix.Read(3, make([]byte, 1))
	fmt.Println("hang-up", n, err)
}

// sendTo sends one datagram, with descriptors beside it.
func sendTo(address, text string, fds ...int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendmsg(fd, []byte(text), rights(fds), &unix.SockaddrUnix{Name: address}, 0)
}

// rights is the control message for descriptors.
func rights(fds []int) []byte {
	if len(fds) == 0 {
		return nil
	}
	return unix.UnixRights(fds...)
}
