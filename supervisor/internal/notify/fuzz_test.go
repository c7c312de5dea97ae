//go:build linux

package notify

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// Whatever a worker sends, and whatever descriptors with it, on whichever way: what is
// delivered, or is to be, is what its reports say, nothing of a stranger's, and all descriptors are
// closed when the next report is read.
func FuzzReceive(f *testing.F) {
	const (
		pair     = 1 << iota // not by NOTIFY_SOCKET
		stranger             // to the master the sender is not the worker
	)
	for _, way := range []byte{0, pair, stranger, pair | stranger} {
		f.Add(way, []byte("\x01\x00READY=1\nSTATUS=up\xff\x02\x00STATUS=down\xff\x00\x00X_GOSUPER_RECYCLE=memory"))
		f.Add(way, []byte("\x03\x00\xff\xfd\x01BARRIER=1\xff\x00\x00STOPPING=1"))
		f.Add(way, []byte("\x01\x01STATUS=too long\xff\x00\x00READY=1\nBARRIER=1\xff\x05\x00WATCHDOG=1"))
		f.Add(way, []byte("\x00\x00X_GOSUPER_FAILING=1\nX_GOSUPER_BUSY=1\xff\x00\x00STATUS=a\xff\x00\x00STATUS="))
		f.Add(way, []byte("\x00\x00EXTEND_TIMEOUT_USEC=1\x00\xff\x00\x00STATUS=\xff\x00\x00STATUS=x\n\n=\nREADY=1"))
	}
	f.Fuzz(func(t *testing.T, way byte, script []byte) {
		e, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		send := func(text []byte, fds ...int) error { return sendTo(e.Address(), string(text), fds...) }
		if way&pair != 0 {
			send = func(text []byte, fds ...int) error {
				return unix.Sendmsg(e.ChildFd(), text, rights(fds), nil, 0)
			}
		}
		worker := os.Getpid()
		if way&stranger != 0 {
			worker = 1 << 30 // more than any process has
		}
		believed := way&(pair|stranger) != stranger
		var got Message
		e.Serve(worker, func(m Message) bool {
			merge(&got, m)
			return true
		})

		// Each report is the number of descriptors, whether it is made too long, and
		// text.
		var want Message
		for n, one := range bytes.Split(script, []byte{0xff}) {
			if n == 8 {
				break
			}
			if len(one) < 2 {
				continue
			}
			descriptors, long, text := one[0], one[1], one[2:]
			if long&1 != 0 {
				text = append(text, bytes.Repeat([]byte("\nSTATUS=long"), protocol.MaxNotify/10)...)
			}
			fds := make([]int, 1+descriptors%(2*maxDescriptors))
			near, far := pipe(t)
			for i := range fds {
				fds[i] = far
			}
			err := send(text, fds...)
			unix.Close(far)
			if err == nil {
				if believed && len(text) <= protocol.MaxNotify {
					merge(&want, Parse(text))
				}
				// What a report says is taken in before its descriptors are closed.
				hangup(t, near)
			}
			unix.Close(near)
		}
		<-e.Pause() // nothing is delivered any more
		merge(&got, e.inbox.pending)
		if got != want {
			t.Errorf("delivered\n%+v, want\n%+v", got, want)
		}
	})
}

// merge is what is known when a message has followed others. Watchdog is news each
// time. A status that is taken back before it is delivered is none, so that only the last
// one counts.
func merge(known *Message, m Message) {
	known.Ready = known.Ready || m.Ready
	known.Stopping = known.Stopping || m.Stopping
	known.Watchdog = known.Watchdog || m.Watchdog
	known.Failed = known.Failed || m.Failed
	known.Failing = known.Failing || m.Failing
	known.Busy = known.Busy || m.Busy
	if m.HasStatus {
		known.Status = m.Status
	}
	if m.ExtendTimeout != 0 {
		known.ExtendTimeout = m.ExtendTimeout
	}
	if known.Recycle == "" {
		known.Recycle = m.Recycle
	}
}

// pipe makes one.
func pipe(t *testing.T) (near, far int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}
