//go:build linux

package worker

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

func TestAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	// A socket that a killed predecessor has left behind.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	for _, addr := range []string{"127.0.0.1:0", "unix:" + path} {
		t.Run(addr, func(t *testing.T) {
			p := newProcess(inheritance{keepAlive: time.Second}, nil)
			listeners, err := p.listen(addr)
			if err != nil {
				t.Fatal(err)
			}
			bound := listeners[0].Addr()
			if _, err := newProcess(inheritance{}, nil).listen(bound.Network() + ":" + bound.String()); bound.Network() == "unix" && err == nil {
				t.Error("a second server takes the path of a living one")
			}
			served := make(chan error, 1)
			go func() { served <- p.serveOn(&http.Server{Handler: http.HandlerFunc(ok)}, listeners) }()
			c, err := connect(bound.Network(), bound.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.mustGet(t, "/")
			// Nobody else holds the socket: one that waits in the queue is answered.
			queued, err := connect(bound.Network(), bound.String())
			if err != nil {
				t.Fatal(err)
			}
			defer queued.Close()
			p.drain()
			queued.mustGet(t, "/")
			c.mustGet(t, "/")
			if err := await(t, served); err != nil {
				t.Errorf("Serve returns %v", err)
			}
			if _, err := os.Stat(path); bound.Network() == "unix" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the path is still there: %v", err)
			}
		})
	}
}

func TestServeFails(t *testing.T) {
	held := hold(t)
	p := newProcess(inheritance{}, nil)
	p.watching.Do(func() {})
	if err := p.serve(&http.Server{}, held.Addr().String()); err == nil {
		t.Error("serves an address that is in use")
	}
	p = newProcess(inheritance{}, errors.New("stray"))
	p.watching.Do(func() {})
	if err := p.serve(&http.Server{}, "127.0.0.1:0"); err == nil || err.Error() != "stray" {
		t.Errorf("serve() = %v, want the error of the inheritance", err)
	}
	if err := p.setReady(); err == nil || err.Error() != "stray" {
		t.Errorf("setReady() = %v, want the error of the inheritance", err)
	}
}

func TestCallerShutsDown(t *testing.T) {
	srv := &http.Server{Handler: http.HandlerFunc(ok)}
	f := start(t, srv, time.Second, hold(t))
	dial(t, f.addr).mustGet(t, "/")
	srv.Shutdown(t.Context())
	if err := await(t, f.served); err != http.ErrServerClosed {
		t.Errorf("Serve returns %v, want ErrServerClosed", err)
	}
}

func helperAlone() error {
	if listeners, err := Listeners(); len(listeners) != 0 || err != nil {
		return fmt.Errorf("Listeners() = %v, %v", listeners, err)
	}
	return Serve(&http.Server{Addr: os.Getenv("ALONE_ADDR"), Handler: http.HandlerFunc(ok)}, "")
}

func TestAloneSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			// The child of a worker has these, and no LISTEN_PID.
			c := spawnAlone(t, "alone", nil, "ALONE_ADDR=unix:"+path, protocol.EnvWorkerID+"=7")
			var conn *client
			until(t, "it listens", func() bool {
				var err error
				conn, err = connect("unix", path)
				return err == nil
			})
			defer conn.Close()
			conn.mustGet(t, "/")
			c.signal(t, sig)
			until(t, "it drains", func() bool { _, err := os.Stat(path); return err != nil })
			c.signal(t, sig)
			if res := conn.mustGet(t, "/"); !res.Close {
				t.Error("no Connection: close while draining")
			}
			c.awaitExit(t)
		})
	}
}

func helperActivated() error {
	if os.Getenv(protocol.EnvListenFDs) == "" {
		return fmt.Errorf("the environment was taken before anybody asked")
	}
	return ListenAndServe("203.0.113.1:1", http.HandlerFunc(ok))
}

func TestActivated(t *testing.T) {
	held := hold(t)
	name := fmt.Sprintf("@worker-test-%d", os.Getpid())
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	notify.SetDeadline(time.Now().Add(forever))
	expect := func(want string) {
		t.Helper()
		buf := make([]byte, protocol.MaxNotify)
		if n, err := notify.Read(buf); string(buf[:n]) != want {
			t.Fatalf("message %q, %v, want %q", buf[:n], err, want)
		}
	}
	c := spawnAlone(t, "activated", []*os.File{dupListener(t, held)}, protocol.EnvListenFDs+"=1",
		protocol.EnvListenPID+"="+shimPID, protocol.EnvNotifySocket+"="+name)
	expect("READY=1")
	conn := dial(t, held.Addr().String())
	conn.mustGet(t, "/")
	conn.Close()
	c.signal(t, syscall.SIGTERM)
	expect("STOPPING=1")
	c.awaitExit(t)
}
