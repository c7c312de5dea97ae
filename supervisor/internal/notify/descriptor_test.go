//go:build linux

package notify

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// A worker may use any number of descriptors of the master for as long as one message takes, but keeps none open.
func TestDescriptorsAreClosed(t *testing.T) {
	e := open(t)
	l := serve(e, os.Getpid())
	for way, send := range senders(e) {
		for _, n := range []int{1, 2, maxDescriptors, maxDescriptors + 1, 253} {
			for _, text := range []string{"STATUS=%s %d", "BARRIER=1", "FDSTORE=1", "", "STATUS=" + strings.Repeat("x", protocol.MaxNotify)} {
				var p [2]int
				if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
					t.Fatal(err)
				}
				fds := make([]int, n)
				for i := range fds {
					fds[i] = p[1]
				}
				if strings.Contains(text, "%") {
					text = fmt.Sprintf(text, way, n)
				}
				if err := send(text, fds...); err != nil {
					t.Fatal(err)
				}
				unix.Close(p[1])
				hangup(t, p[0])
				unix.Close(p[0])
			}
			l.want(t, status(fmt.Sprintf("%s %d", way, n)))
		}
	}
}

// hangup waits until nobody has the other end of a pipe any more.
func hangup(t *testing.T, fd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, int(testTimeout.Milliseconds())); n != 1 || fds[0].Revents&unix.POLLHUP == 0 {
		t.Fatalf("a descriptor was not closed: %v %v", fds, err)
	}
}

// closed says whether the other end of a pipe is closed now.
func closed(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}

func TestBarrier(t *testing.T) {
	for way := range senders(open(t)) {
		e := open(t)
		send := senders(e)[way]
		delivering, goOn := make(chan Message), make(chan struct{})
		e.Serve(os.Getpid(), func(m Message) bool {
			delivering <- m
			<-goOn
			return true
		})
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		if err := send("READY=1\nSTATUS=up"); err != nil {
			t.Fatal(err)
		}
		if err := send("BARRIER=1", p[1]); err != nil {
			t.Fatal(err)
		}
		unix.Close(p[1])
		if m := <-delivering; !m.Ready {
			t.Errorf("%s: got %+v", way, m)
		}
		if closed(p[0]) {
			t.Errorf("%s: the barrier was passed before the message was delivered", way)
		}
		close(goOn)
		hangup(t, p[0])
		unix.Close(p[0])
	}
}

// What waits for its turn is delivered before the barrier, too.
func TestBarrierAfterFlood(t *testing.T) {
	e := open(t)
	l := serve(e, os.Getpid())
	const reports = 12
	for i := range reports {
		if err := sendTo(e.Address(), fmt.Sprintf("STATUS=%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := sendTo(e.Address(), "BARRIER=1", p[1]); err != nil {
		t.Fatal(err)
	}
	unix.Close(p[1])
	hangup(t, p[0])
	unix.Close(p[0])
	var last Message
	for range len(l) {
		last = <-l
	}
	if last != status(fmt.Sprint(reports-1)) {
		t.Errorf("the last one before the barrier was %+v", last)
	}
}
