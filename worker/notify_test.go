//go:build linux

package worker

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
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

// TestReasons: the master hears the first reason, as a word that it takes, and no other.
func TestReasons(t *testing.T) {
	for _, tc := range []struct{ name, reason, want string }{
		{"a word", "stale_model", "stale_model"},
		{"words", "Stale model!", "stale_model"},
		{"lines", "stale\nREADY=1\r\n\tmodel ", "stale_ready_1_model"},
		{"empty", " \n", "worker"},
		{"long", strings.Repeat("long", 10), strings.Repeat("long", 8)},
		{"not ASCII", "zu groß\xff", "zu_gro"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fds[1])
			p := &process{reporter: reporter{fd: fds[0]}}
			for range 2 {
				if err := p.recycle(tc.reason); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.reporter.conn.Close(); err != nil {
				t.Fatal(err)
			}
			var heard []string
			buf := make([]byte, 4096)
			for {
				n, err := unix.Read(fds[1], buf)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				heard = append(heard, string(buf[:n]))
			}
			if want := []string{"X_GOSUPER_RECYCLE=" + tc.want}; !slices.Equal(heard, want) {
				t.Errorf("the master heard %q, want %q", heard, want)
			}
		})
	}
	if err := new(process).recycle("nobody hears it"); err != nil {
		t.Errorf("without a master: %v", err)
	}
}

// A worker says once that as many requests are in flight as the master wants to hear of.
func TestBusy(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fds[1]), "master")
	defer master.Close()
	memory, err := scoreboard.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	board, err := scoreboard.Open(int(memory.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	view := memory.View()
	p := newProcess(inheritance{board: board, notifyFD: fds[0]}, nil)
	begin := func() { p.begun(board.RequestStarted()) }
	asked := func(n uint64) {
		view.SetBusyAt(n)
		p.look()
	}
	silent := func(n uint64) {
		t.Helper()
		if got := p.busyAt.Load(); got != n {
			t.Fatalf("it has yet to speak at %d, want %d", got, n)
		}
	}
	speaks := func() {
		t.Helper()
		silent(0)
		var message [64]byte
		if n, err := master.Read(message[:]); err != nil || string(message[:n]) != protocol.NotifyBusy {
			t.Fatalf("it says %q, %v", message[:n], err)
		}
	}

	begin()
	silent(0)
	asked(3)
	begin()
	silent(3)
	begin()
	speaks()
	begin()
	silent(0)
	asked(3)
	speaks() // it is busy already
	for range 4 {
		board.RequestFinished(200)
	}
	asked(1)
	silent(1)
	asked(0)
	silent(0)
	if err := p.reporter.send("STATUS=last", sendTimeout); err != nil {
		t.Fatal(err)
	}
	var message [64]byte
	if n, err := master.Read(message[:]); err != nil || string(message[:n]) != "STATUS=last" {
		t.Errorf("it says %q, %v", message[:n], err)
	}
	p.reporter.conn.Close()
}
