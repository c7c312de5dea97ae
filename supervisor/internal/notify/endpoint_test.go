//go:build linux

package notify

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

func open(t *testing.T) *Endpoint {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-e.Close() })
	return e
}

// A log is a deliver that keeps what it gets.
type log chan Message

func serve(e *Endpoint, pid int) log {
	l := make(log, 1000)
	e.Serve(pid, l.take)
	return l
}

func (l log) take(m Message) bool {
	l <- m
	return true
}

func (l log) want(t *testing.T, want Message) {
	t.Helper()
	select {
	case got := <-l:
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	case <-time.After(testTimeout):
		t.Fatalf("nothing came, want %+v", want)
	}
}

func status(s string) Message { return Message{HasStatus: true, Status: s} }

// senders are the two ways to report, from this very process.
func senders(e *Endpoint) map[string]func(text string, fds ...int) error {
	return map[string]func(string, ...int) error{
		"datagram": func(text string, fds ...int) error { return sendTo(e.Address(), text, fds...) },
		"pair": func(text string, fds ...int) error {
			return unix.Sendmsg(e.ChildFd(), []byte(text), rights(fds), nil, 0)
		},
	}
}

func TestReports(t *testing.T) {
	e := open(t)
	for way, send := range senders(e) {
		if err := send("STATUS=early " + way); err != nil { // before the pid is known
			t.Fatal(err)
		}
	}
	l := serve(e, os.Getpid())
	got := map[Message]bool{<-l: true, <-l: true}
	if !got[status("early datagram")] || !got[status("early pair")] {
		t.Errorf("got %v", got)
	}
	for way, send := range senders(e) {
		for _, text := range []string{
			"", // not the end
			"nonsense",
			"READY=1\nBARRIER=1",
			"STATUS=" + strings.Repeat("x", protocol.MaxNotify), // too long
			"STATUS=" + way,
		} {
			if err := send(text); err != nil {
				t.Fatalf("%s: %q: %v", way, text, err)
			}
		}
		l.want(t, status(way))
	}
}

func TestMessageOfTheLargestSize(t *testing.T) {
	e := open(t)
	l := serve(e, os.Getpid())
	tail := "\nREADY=1"
	text := "STATUS=" + strings.Repeat("x", protocol.MaxNotify-len(tail)-len("STATUS=")) + tail
	if err := senders(e)["pair"](text); err != nil {
		t.Fatal(err)
	}
	l.want(t, Message{Ready: true, HasStatus: true, Status: strings.Repeat("x", maxStatus)})
}

func TestWhoIsBelieved(t *testing.T) {
	e := open(t)
	address := protocol.EnvNotifySocket + "=" + e.Address()
	worker := start(t, helper("say", address))
	stranger := start(t, helper("say", address))
	l := serve(e, worker.Process.Pid)
	if err := sendTo(e.Address(), "STATUS=the master itself"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who  *process
		text string
	}{{stranger, "stranger"}, {worker, "worker"}, {stranger, "stranger"}} {
		if answer := c.who.ask(t, "STATUS="+c.text); answer != "<nil>" {
			t.Fatal(answer)
		}
	}
	l.want(t, status("worker"))

	e = open(t)
	parent := start(t, helper("parent", protocol.EnvNotifySocket+"="+e.Address()))
	l = serve(e, parent.Process.Pid)
	if answer := parent.ask(t, "STATUS=descendant"); answer != "<nil>" {
		t.Fatal(answer)
	}
	l.want(t, status("descendant"))

	e = open(t)
	leader := start(t, helper("orphan", protocol.EnvNotifySocket+"="+e.Address()))
	orphan, err := strconv.Atoi(leader.line(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leader.Process.Kill() })
	if group, err := syscall.Getpgid(orphan); err != nil || group == leader.Process.Pid {
		t.Fatalf("the orphan is in group %d, %v", group, err)
	}
	l = serve(e, leader.Process.Pid)
	if answer := leader.ask(t, "STATUS=of its session"); answer != "<nil>" {
		t.Fatal(answer)
	}
	l.want(t, status("of its session"))
}

func TestFlood(t *testing.T) {
	for _, way := range []string{"datagram", "pair"} {
		e := open(t)
		cmd := helper("flood", "FLOOD=300")
		if way == "datagram" {
			cmd.Env = append(cmd.Env, protocol.EnvNotifySocket+"="+e.Address())
		} else {
			cmd.Env = append(cmd.Env, protocol.EnvNotifySocket+"=")
			cmd.ExtraFiles = []*os.File{dup(t, e.ChildFd())}
		}
		begin := time.Now()
		p := start(t, cmd)
		l := serve(e, p.Process.Pid)
		if answer := p.line(t); answer != "<nil>" {
			t.Fatalf("%s: %s", way, answer)
		}
		var sum Message
		n := 0
		for sum != (Message{Ready: true, HasStatus: true, Status: "299", Recycle: "memory"}) {
			select {
			case m := <-l:
				n++
				sum.Ready = sum.Ready || m.Ready
				if m.HasStatus {
					sum.HasStatus, sum.Status = true, m.Status
				}
				if m.Recycle != "" {
					sum.Recycle = m.Recycle
				}
			case <-time.After(testTimeout):
				t.Fatalf("%s: lost something: %+v", way, sum)
			}
		}
		if limit := 3 + int(time.Since(begin)/deliverEvery); n > limit {
			t.Errorf("%s: %d deliveries", way, n)
		}
	}
}

// dup is for os/exec, which wants an *os.File.
func dup(t *testing.T, fd int) *os.File {
	t.Helper()
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(copied), "copy")
	t.Cleanup(func() { f.Close() })
	return f
}

func TestHangUpWhenTheMasterDies(t *testing.T) {
	helpersUsed["worker"] = true
	master := start(t, helper("master"))
	if got := master.line(t); !strings.HasPrefix(got, "{Ready:true") {
		t.Fatalf("the master got %s", got)
	}
	if err := master.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := master.line(t); got != "hang-up 0 <nil>" {
		t.Errorf("the worker got %s", got)
	}
}

func TestHangUpWhenTheEndpointCloses(t *testing.T) {
	e := open(t)
	far := dup(t, e.ChildFd())
	if err := e.CloseChild(); err != nil {
		t.Fatal(err)
	}
	serve(e, os.Getpid())
	<-e.Close()
	if n, err := far.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestSystemdNotify(t *testing.T) {
	path, err := exec.LookPath("systemd-notify")
	if err != nil {
		t.Skip(err)
	}
	e := open(t)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", path+` --ready --status="up and running" && echo passed the barrier`)
	cmd.Env = append(os.Environ(), protocol.EnvNotifySocket+"="+e.Address())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := start(t, cmd)
	l := serve(e, p.Process.Pid)
	l.want(t, Message{Ready: true, HasStatus: true, Status: "up and running"})
	if got := p.line(t); got != "passed the barrier" {
		t.Error(got)
	}
}

func TestCloseReleasesDeliver(t *testing.T) {
	e := open(t)
	delivering := make(chan struct{})
	hold, returned := make(chan struct{}), false
	e.Serve(os.Getpid(), func(Message) bool {
		close(delivering) // panics if there is a second one
		<-e.Done()
		<-hold
		returned = true
		return false
	})
	for way, send := range senders(e) {
		if err := send("STATUS=" + way); err != nil {
			t.Fatal(err)
		}
	}
	<-delivering
	over := e.Close() // which waits for nobody
	close(hold)
	if <-over; !returned {
		t.Error("it was over before deliver was")
	}
}

func TestNothingIsLeft(t *testing.T) {
	once := func() {
		e, err := New()
		if err != nil {
			t.Fatal(err)
		}
		l := serve(e, os.Getpid())
		for way, send := range senders(e) {
			if err := send("STATUS=" + way); err != nil {
				t.Fatal(err)
			}
		}
		<-l
		for range 2 {
			if err := e.CloseChild(); err != nil {
				t.Fatal(err)
			}
			<-e.Close()
		}
		if e.ChildFd() != -1 {
			t.Errorf("child descriptor %d", e.ChildFd())
		}
	}
	once()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	for range 100 {
		once()
	}
	if n := openDescriptors(t); n != descriptors {
		t.Errorf("%d descriptors became %d", descriptors, n)
	}
	if n := runtime.NumGoroutine(); n > goroutines+10 { // those of the last round may be about to end
		t.Errorf("%d goroutines became %d", goroutines, n)
	}
	e, err := New() // and without Serve
	if err != nil {
		t.Fatal(err)
	}
	<-e.Close()
	if n := openDescriptors(t); n != descriptors {
		t.Errorf("%d descriptors became %d", descriptors, n)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
