//go:build linux

package e2e

import (
	"net"
	"os/exec"
	"syscall"
	"testing"
)

// daemon starts a server that a test needs beside the master, waits until it
// answers, and sees to its end.
func daemon(t *testing.T, cmd *exec.Cmd, answers func() bool) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := <-exited; err != nil {
			t.Errorf("%s: %v", cmd.Path, err)
		}
	})
	eventually(t, cmd.Path+" answers", func() bool {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("%s ended: %v", cmd.Path, err)
		default:
		}
		return answers()
	})
}

// listens says whether somebody listens at a unix socket.
func listens(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	return err == nil
}
