//go:build linux

package e2e

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

const taken = "an address is in use by another process, trying again"

// hold listens at an address, and on a path that stays when that ends.
func hold(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A master that is started while the workers of the one before it still die takes
// their place when they are gone.
func TestTakenAddress(t *testing.T) {
	for _, c := range []struct{ network, address, bind string }{
		{"tcp", "127.0.0.1:0", ""},
		{"unix", filepath.Join(t.TempDir(), "socket"), "unix:"},
	} {
		t.Run(c.network, func(t *testing.T) {
			l := hold(t, c.network, c.address)
			m := start(t, launch{config: config(`bind = ["` + c.bind + l.Addr().String() + `"]`)})
			m.wait(t, 0, taken, nil)
			l.Close()
			m.wait(t, 0, "ready", nil)
			if _, body, err := m.get("/"); err != nil || body != "generation 1\n" {
				t.Errorf("answered %q, %v", body, err)
			}
			if n := len(m.all(0, taken, nil)); n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// Who is told to stop while it waits does.
func TestTakenAddressStopped(t *testing.T) {
	l := hold(t, "tcp", "127.0.0.1:0")
	m := start(t, launch{config: config(`bind = ["` + l.Addr().String() + `"]`)})
	m.wait(t, 0, taken, nil)
	m.signal(syscall.SIGTERM)
	if status := m.end(); status != 0 { // it is 1 where nobody told it to stop
		t.Errorf("exit status %d", status)
	}
}

// The workers of a killed master keep their address until they have given back
// their memory.
func TestTakenByTheDying(t *testing.T) {
	address := freePort(t)
	for _, bind := range []string{address, "unix:" + filepath.Join(t.TempDir(), "socket")} {
		lines := []string{`bind = ["` + bind + `"]`, "workers = 3"}
		m := up(t, lines...)
		for range 9 {
			if _, _, err := m.get("/leak?mb=100"); err != nil {
				t.Fatal(err)
			}
		}
		m.signal(syscall.SIGKILL)
		m.end()
		next := up(t, lines...)
		if _, _, err := next.get("/"); err != nil {
			t.Error(err)
		}
		next.signal(syscall.SIGTERM)
		next.end()
	}
}
