//go:build linux

package process

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// roleMaster starts one worker, the shell script in SCRIPT, as the user in
// WORKER_UID, reports its pid and lives until its stdin ends.
func roleMaster() {
	spec := sh(os.Getenv("SCRIPT"))
	spec.Files = []int{0, 1, 2}
	if os.Getenv("AS_NOBODY") != "" {
		spec.Credential = &Credential{Uid: 65534, Gid: 65534}
	}
	r, w := must2(pipe())
	spec.Files = append(spec.Files, r)
	pid := must(Start(spec))
	reportJSON(pid)
	// The worker waits for this before it says anything, so its line is after
	// the report.
	unix.Close(w)
	io.Copy(io.Discard, os.Stdin)
	KillGroup(pid)
	must(wait(pid))
}

func must2(a, b int, err error) (int, int) {
	if err != nil {
		fatal(err)
	}
	return a, b
}

// The death signal must be asked for after the change of credentials, which
// clears it.
func TestWorkerDiesWithMaster(t *testing.T) {
	for _, c := range []struct{ name, env string }{
		{"same user", "AS_NOBODY="},
		{"other user", "AS_NOBODY=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "other user" {
				needRoot(t)
			}
			h := newHandshake(t)
			hold, holdEnd := newPipe(t) // never written, so the worker never ends by itself
			defer unix.Close(holdEnd)
			master := startRole(t, "master", []int{hold, h.childOut, 2}, c.env, `SCRIPT=read x <&3; echo up; read x`)
			unix.Close(hold)
			h.started()
			var worker int
			h.json(t, &worker)
			expect(t, worker)
			if got := h.line(t); got != "up" {
				t.Fatalf("worker says %q", got)
			}
			if err := Signal(master, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			await(t, master)
			if status := await(t, worker); status.Signal != syscall.SIGKILL {
				t.Errorf("worker ended with %v, want SIGKILL", status)
			}
		})
	}
}

// roleThreads starts one child from a thread that then ends, with the death
// signal the way syscall sets it, and one worker with Start.
func roleThreads() {
	r, _ := must2(pipe())
	ours := must(Start(Spec{Path: "/bin/cat", Argv: []string{"cat"}, Files: []int{0, 1, 2}}))
	theirs := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with the goroutine
		theirs <- must(syscall.ForkExec("/bin/cat", []string{"cat"}, &syscall.ProcAttr{
			Files: []uintptr{uintptr(r), 1, 2},
			Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
		}))
	}()
	ws := must(wait(<-theirs))
	reportJSON(map[string]any{"ours": ours, "theirs": statusOf(ws).String()})
	must(wait(ours))
}

// A child asked to die with its parent dies with the thread that forked it.
// That is why Start wants the main thread.
func TestWorkerOutlivesThreads(t *testing.T) {
	h := newHandshake(t)
	master := startRole(t, "threads", []int{h.childIn, h.childOut, 2})
	h.started()
	var report struct {
		Ours   int
		Theirs string
	}
	h.json(t, &report)
	if want := (Status{Signal: syscall.SIGKILL}).String(); report.Theirs != want {
		t.Errorf("the child of a thread ended with %q, want %q: the premise of this test is gone", report.Theirs, want)
	}
	if _, err := h.out.WriteString("still here\n"); err != nil {
		t.Fatal(err)
	}
	if got := h.line(t); got != "still here" {
		t.Errorf("the worker says %q", got)
	}
	h.out.Close()
	if status := await(t, master); status != (Status{}) {
		t.Errorf("the master ended with %v", status)
	}
}

// roleStoppedShim forks a shim and stops it before its first instruction.
func roleStoppedShim() {
	spec := sh("echo ran")
	spec.Files = []int{Null, 1, 2}
	plan := spec.plan(len(spec.Files))
	null := must(DevNull())
	pid := must(syscall.ForkExec(must(executable()), []string{"shim"}, &syscall.ProcAttr{
		Env:   plan.Environ(),
		Files: []uintptr{uintptr(null), 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true, Ptrace: true},
	}))
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, syscall.WALL, nil); err != nil || !ws.Stopped() {
		fatal(err)
	}
	// Detach in such a way that the next thing it does is to stop by itself.
	if _, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(pid), 0, uintptr(unix.SIGSTOP), 0, 0); errno != 0 {
		fatal(errno)
	}
	if _, err := syscall.Wait4(pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		fatal(err)
	}
	reportJSON(pid)
	io.Copy(io.Discard, os.Stdin)
}

// A master that dies before the shim asked for the death signal sends none:
// the shim must notice that its parent is another.
func TestShimWithoutMaster(t *testing.T) {
	h := newHandshake(t)
	master := startRole(t, "stopped-shim", []int{h.childIn, h.childOut, 2})
	h.started()
	var shim int
	h.json(t, &shim)
	expect(t, shim)
	if err := Signal(master, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, master)
	if err := Continue(shim); err != nil {
		t.Fatal(err)
	}
	if status := await(t, shim); status != (Status{Code: 1}) {
		t.Errorf("the shim ended with %v, want exit status 1", status)
	}
	if text, err := bufio.NewReader(h.in).ReadString('\n'); err != io.EOF {
		t.Errorf("the worker of a dead master ran: %q, %v", text, err)
	}
}

func statusOf(ws syscall.WaitStatus) Status {
	if ws.Signaled() {
		return Status{Signal: ws.Signal(), Core: ws.CoreDump()}
	}
	return Status{Code: ws.ExitStatus()}
}
