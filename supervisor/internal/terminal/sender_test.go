//go:build linux

package terminal

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A handler that counts one kind of sender as another, or loses a signal on the way
// to the Go runtime, is worse than none.
func TestSender(t *testing.T) {
	watches := runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGTTIN, syscall.SIGALRM)
	defer signal.Stop(heard)
	Watch(syscall.SIGTTIN, syscall.SIGALRM)
	Watch(syscall.SIGTTIN) // twice, as after an upgrade that failed
	wait := func(want os.Signal) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %v, want %v", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%v was lost", want)
		}
	}
	for range 100 {
		if err := unix.Kill(os.Getpid(), syscall.SIGTTIN); err != nil {
			t.Fatal(err)
		}
		wait(syscall.SIGTTIN)
		if kernel, pid := last(syscall.SIGTTIN); watches && (kernel || pid != os.Getpid()) {
			t.Fatalf("sent by the kernel: %v, or process %d, and not by %d", kernel, pid, os.Getpid())
		}
		// A timer of the kernel's.
		if _, err := unix.Setitimer(unix.ITIMER_REAL, unix.Itimerval{Value: unix.Timeval{Usec: 100}}); err != nil {
			t.Fatal(err)
		}
		wait(syscall.SIGALRM)
		if kernel, _ := last(syscall.SIGALRM); watches && !kernel {
			t.Fatal("a timer of the kernel counts as a process")
		}
	}
}
