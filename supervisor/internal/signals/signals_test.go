//go:build linux

package signals

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/internal/terminal"
)

// TestListen: what is wanted arrives, and what would end a master does not.
func TestListen(t *testing.T) {
	s := New()
	s.Attach(System())
	s.Listen(syscall.SIGUSR1, syscall.SIGTTOU)
	defer signal.Reset()
	if err := syscall.Kill(os.Getpid(), syscall.SIGPWR); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGCHLD, syscall.SIGTTOU} {
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		if got := <-s.C; got != sig {
			t.Errorf("%v arrives as %v", sig, got)
		}
		if s.FromTerminal(sig) {
			t.Errorf("%v is said to be from a terminal", sig)
		}
	}
	s.Stop()
	s.Stop()
	if !signal.Ignored(syscall.SIGTTOU) {
		t.Error("a terminal could stop what is written to it last")
	}
}

// TestPending: what nobody has handled is not lost.
func TestPending(t *testing.T) {
	s := New()
	s.Listen(syscall.SIGHUP) // of a source that delivers none
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGCHLD, syscall.SIGTERM} {
		s.C <- sig
	}
	if got := s.Pending(); !slices.Equal(got, []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}) {
		t.Errorf("pending are %v", got)
	}
	if got := s.Pending(); len(got) > 0 {
		t.Errorf("pending are %v again", got)
	}
	s.Stop()
}

func TestOutlivesTerminal(t *testing.T) {
	s := New()
	s.Attach(Source{byTerminal: func(_ *terminal.Terminal, sig os.Signal) bool { return sig == syscall.SIGHUP }})
	if !s.FromTerminal(syscall.SIGHUP) || s.FromTerminal(syscall.SIGTTIN) {
		t.Error("the source is not asked")
	}
	s.OutliveTerminal()
	if !s.OutlivesTerminal() {
		t.Error("what another image has found is forgotten")
	}
}

func TestDuring(t *testing.T) {
	isTerm := func(sig os.Signal) bool { return sig == syscall.SIGTERM }
	t.Run("done", func(t *testing.T) {
		s, heard := New(), make(chan struct{})
		s.C <- syscall.SIGUSR1
		over, stopped := s.During(func(context.Context) {
			for len(s.C) > 0 { // until it was taken
				runtime.Gosched()
			}
			close(heard)
		}, isTerm)
		<-heard
		select {
		case <-over:
		default:
			t.Error("it is not over")
		}
		if sig := <-s.C; stopped || sig != syscall.SIGUSR1 {
			t.Errorf("stopped: %v, %v is for the loop", stopped, sig)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		s, release := New(), make(chan struct{})
		s.C <- syscall.SIGTERM
		over, stopped := s.During(func(ctx context.Context) {
			<-ctx.Done()
			<-release
		}, isTerm)
		select {
		case <-over:
			t.Error("it is over although it goes on")
		default:
		}
		close(release)
		if <-over; !stopped {
			t.Error("the signal did not stop it")
		}
	})
}
