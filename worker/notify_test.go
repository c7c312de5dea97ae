//go:build linux

package worker

import (
	"bytes"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReporter(t *testing.T) {
	pair := func(t *testing.T) (*reporter, *os.File) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		master := os.NewFile(uintptr(fds[1]), "master")
		r := &reporter{fd: fds[0]}
		t.Cleanup(func() {
			master.Close()
			if r.conn != nil {
				r.conn.Close()
			}
		})
		return r, master
	}
	t.Run("deaf", func(t *testing.T) {
		r, _ := pair(t)
		conn, err := r.connect()
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetWriteBuffer(1); err != nil {
			t.Fatal(err)
		}
		message := string(bytes.Repeat([]byte("x"), 1000))
		begin := time.Now()
		for err == nil {
			err = r.send(message, sendTimeout)
		}
		if d := time.Since(begin); d < sendTimeout || d > sendTimeout+late {
			t.Errorf("gives up after %v: %v", d, err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		r, master := pair(t)
		if err := r.send("READY=1", sendTimeout); err != nil {
			t.Fatal(err)
		}
		master.Close()
		if err := r.send("STOPPING=1", stoppingTimeout); err == nil {
			t.Error("sends to nobody")
		}
	})
	t.Run("nobody", func(t *testing.T) {
		if err := new(reporter).send("READY=1", sendTimeout); err != nil {
			t.Error(err)
		}
		for _, address := range []string{"@nobody-listens-here", "/nonexistent", "vsock:2:1"} {
			if err := (&reporter{address: address}).send("READY=1", sendTimeout); err == nil {
				t.Errorf("sends to %s", address)
			}
		}
	})
}
