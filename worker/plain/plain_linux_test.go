package plain_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker"
	_ "github.com/gosuper/gosuper/worker/plain"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

const (
	helperEnv = "PLAIN_TEST_HELPER"
	linked    = "linked" // what the helper says first,
	ready     = "ready"  // and once it was told to be a worker
)

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "shim": // to be the process that LISTEN_PID names
		os.Setenv(helperEnv, "worker")
		os.Setenv(protocol.EnvListenPID, strconv.Itoa(os.Getpid()))
		fmt.Fprintln(os.Stderr, unix.Exec("/proc/self/exe", os.Args, os.Environ()))
		os.Exit(1)
	case "worker":
		fmt.Println(linked)
		os.Stdin.Read(make([]byte, 1))
		if err := worker.Ready(); err != nil {
			fmt.Println(err)
		}
		fmt.Println(ready)
	default:
		os.Exit(m.Run())
	}
}

// TestHeader has a program write the header when it calls package worker, and not before.
func TestHeader(t *testing.T) {
	memory, err := scoreboard.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{
		helperEnv + "=shim", protocol.EnvWorkerID + "=1", protocol.EnvListenFDs + "=0",
		protocol.EnvScoreboardFD + "=" + strconv.Itoa(protocol.ListenFDsStart),
	}
	cmd.ExtraFiles = []*os.File{memory.File()}
	cmd.Stderr = os.Stderr
	tell, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for _, step := range []struct {
		says   string
		header bool
	}{{linked, false}, {ready, true}} {
		if said.Scan(); said.Text() != step.says {
			t.Fatalf("it says %q, want %q", said.Text(), step.says)
		}
		if h, ok := memory.View().Header(); ok != step.header || ok && int(h.PID) != cmd.Process.Pid {
			t.Errorf("%s: header %v, %+v", step.says, ok, h)
		}
		tell.Write([]byte{'\n'})
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
