//go:build linux

package notify

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/worker/protocol"
)

// successor takes the place of a paused endpoint, with descriptors that survive
// the end of the one before.
func successor(t *testing.T, e *Endpoint) *Endpoint {
	t.Helper()
	text, _, err := state.Write(e, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	next := new(Endpoint)
	if _, err := state.Read(text, next, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	for _, fd := range []*int{&next.pairFd, &next.datagramFd} {
		if *fd, err = unix.FcntlInt(uintptr(*fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	<-e.Close()
	if err := next.Reopen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	return next
}

func waitFor(t *testing.T, what string, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(testTimeout):
		t.Fatalf("waited in vain for %s", what)
	}
}

// A worker that talks without pause is not told that its listener changes: what
// it says last, and what it says once, arrives, and the latter once.
func TestSuccessorsLoseNothing(t *testing.T) {
	for _, way := range []string{"pair", "datagram"} {
		t.Run(way, func(t *testing.T) {
			e := open(t)
			cmd := helper("flood", "FLOOD=3000")
			if way == "datagram" {
				cmd.Env = append(cmd.Env, protocol.EnvNotifySocket+"="+e.Address())
			} else {
				child, err := unix.FcntlInt(uintptr(e.ChildFd()), unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(child), "child"))
			}
			worker := start(t, cmd)
			e.CloseChild()

			l := make(log, 1000)
			var ready, recycle int
			last := ""
			take := func(m Message) {
				if m.Ready {
					ready++
				}
				if m.Recycle != "" {
					recycle++
				}
				if m.HasStatus {
					last = m.Status
				}
			}
			e.Serve(worker.Process.Pid, l.take)
			for ready == 0 || recycle == 0 {
				select {
				case m := <-l:
					take(m)
				case <-time.After(testTimeout):
					t.Fatal("nothing more is said")
				}
				waitFor(t, "the pause", e.Pause())
				e = successor(t, e)
				e.Serve(worker.Process.Pid, l.take)
			}
			waitFor(t, "the pause", e.Pause())
			for len(l) > 0 {
				take(<-l)
			}
			if e.inbox.pending.HasStatus {
				last = e.inbox.pending.Status
			}
			if ready != 1 || recycle != 1 || last != "2999" {
				t.Errorf("%d x ready, %d x recycle, the last status is %q", ready, recycle, last)
			}
		})
	}
}

// What is put off when the pause begins is delivered by who comes next.
func TestPausePutsOff(t *testing.T) {
	e := open(t)
	l := serve(e, os.Getpid())
	send := senders(e)["pair"]
	for _, text := range strings.Split("abcdefghijklmnop", "") {
		if err := send("STATUS=" + text); err != nil {
			t.Fatal(err)
		}
	}
	<-l
	waitFor(t, "the pause", e.Pause())
	if err := send("STATUS=late"); err != nil {
		t.Fatal(err)
	}
	far, err := unix.FcntlInt(uintptr(e.ChildFd()), unix.F_DUPFD_CLOEXEC, 0) // Close closes it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(far)
	next := successor(t, e)
	if n := len(l); n > 0 {
		t.Fatalf("%d deliveries while paused", n)
	}
	l = serve(next, os.Getpid())
	for m := range l {
		if m.Status == "late" {
			break
		}
	}
	// And the one before, had it stayed, would have gone on too.
	waitFor(t, "the pause", next.Pause())
	if _, err := unix.Write(far, []byte("READY=1")); err != nil {
		t.Fatal(err)
	}
	next.Serve(os.Getpid(), l.take)
	l.want(t, Message{Ready: true})
}
