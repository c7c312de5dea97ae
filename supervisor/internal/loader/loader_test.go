//go:build linux

package loader

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// long is how long an event is waited for that is certain to come.
const long = 30 * time.Second

// bench is a loader whose other end is held by the test.
type bench struct {
	t *testing.T
	*Loader
	far      int
	messages chan Message
	answers  []string
	sent     []int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, Loader: l, messages: make(chan Message)}
	if b.far, err = unix.Dup(l.ChildFd()); err != nil {
		t.Fatal(err)
	}
	l.CloseChild()
	l.PID = os.Getpid()
	b.serve()
	t.Cleanup(func() {
		b.hangUp()
		l.Close()
	})
	return b
}

func (b *bench) serve() {
	b.Serve(func(m Message, over <-chan struct{}) bool {
		select {
		case b.messages <- m:
			return true
		case <-over:
			return false
		}
	})
}

func (b *bench) hangUp() {
	if b.far >= 0 {
		unix.Close(b.far)
		b.far = -1
	}
}

func (b *bench) say(text string) {
	b.t.Helper()
	if _, err := unix.Write(b.far, []byte(text)); err != nil {
		b.t.Fatal(err)
	}
}

// hear returns the next message.
func (b *bench) hear() Message {
	b.t.Helper()
	select {
	case m := <-b.messages:
		return m
	case <-time.After(long):
		b.t.Fatal("nothing is heard")
		return Message{}
	}
}

// ask asks for a worker with one descriptor.
func (b *bench) ask(seq int) {
	b.Ask(Request{
		Seq: seq, Env: []string{"GOSUPER_SLOT=1"}, Files: []int{0},
		Sent: func() { b.sent = append(b.sent, seq) },
		Answer: func(pid int, err error) {
			if f, ok := errors.AsType[*Failure](err); ok {
				err = fmt.Errorf("%w %v", err, f.Lines)
			}
			b.answers = append(b.answers, fmt.Sprint(seq, " ", pid, " ", err))
		},
	})
}

// asked is what the loader is asked next; "": the end of file.
func (b *bench) asked() string {
	b.t.Helper()
	buf, control := make([]byte, protocol.MaxLoader), make([]byte, 256)
	n, c, _, _, err := unix.Recvmsg(b.far, buf, control, unix.MSG_DONTWAIT)
	if err != nil {
		b.t.Fatal(err)
	}
	if c > 0 {
		all, err := unix.ParseSocketControlMessage(control[:c])
		if err != nil {
			b.t.Fatal(err)
		}
		for _, m := range all {
			if fds, err := unix.ParseUnixRights(&m); err == nil {
				for _, fd := range fds {
					unix.Close(fd)
				}
			}
		}
	}
	return string(buf[:n])
}

func (b *bench) expect(what string, got, want []string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func believeAll(int) error { return nil }

// One is asked for after the other, and nobody waits.
func TestOneAfterTheOther(t *testing.T) {
	b := newBench(t)
	b.ask(3)
	b.ask(4)
	b.ask(5)
	if got, want := b.asked(), fmt.Sprintf("SPAWN=3\nGOSUPER_MASTER_PID=%d\nGOSUPER_SLOT=1", os.Getpid()); got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	if b.Due().IsZero() || len(b.sent) != 1 {
		t.Errorf("due at %v, sent %v", b.Due(), b.sent)
	}
	b.say("SPAWNED=4")
	if err := b.Heard(b.hear(), believeAll); !errors.Is(err, ErrUnasked) || len(b.answers) > 0 {
		t.Errorf("what is not asked for yet is answered: %v %v", err, b.answers)
	}
	b.say("SPAWNED=3")
	if err := b.Heard(b.hear(), believeAll); err != nil {
		t.Error(err)
	}
	b.say("FAILED=4\nno memory")
	if err := b.Heard(b.hear(), believeAll); err != nil {
		t.Error(err)
	}
	b.say("SPAWNED=5\nPID=77")
	if err := b.Heard(b.hear(), believeAll); err != nil {
		t.Error(err)
	}
	b.expect("answers", b.answers, []string{
		fmt.Sprintf("3 %d <nil>", os.Getpid()), "4 0 the loader could not make the worker [no memory]", "5 77 <nil>",
	})
	if b.Busy() || !b.Due().IsZero() || len(b.sent) != 3 {
		t.Errorf("busy %v until %v, sent %v", b.Busy(), b.Due(), b.sent)
	}
}

// Who is not believed changes nothing.
func TestNotBelieved(t *testing.T) {
	b := newBench(t)
	b.ask(1)
	b.say("SPAWNED=1")
	refuse := errors.New("no child")
	if err := b.Heard(b.hear(), func(int) error { return refuse }); !errors.Is(err, refuse) || !b.Busy() {
		t.Errorf("%v, busy %v", err, b.Busy())
	}
	b.PID = 1 << 30 // so that the test is somebody else
	b.say("SPAWNED=1\nPID=77")
	if err := b.Heard(b.hear(), believeAll); err == nil || !b.Busy() {
		t.Error("a process that is not the loader says which process is a worker")
	}
	for _, text := range []string{"SPAWNED=x", "", strings.Repeat("x", 2*protocol.MaxLoader)} {
		b.say(text)
		if err := b.Heard(b.hear(), believeAll); err == nil {
			t.Errorf("%.20q is understood", text)
		}
	}
	if len(b.answers) > 0 {
		t.Errorf("answers %v", b.answers)
	}
}

// A worker that the loader had made before it ended is waited for, those that it was
// still to make are not.
func TestLoaderEnds(t *testing.T) {
	b := newBench(t)
	b.ask(1)
	b.ask(2)
	b.Finish()
	b.Reaped()
	b.say("SPAWNED=1")
	if err := b.Heard(b.hear(), believeAll); err != nil {
		t.Error(err)
	}
	b.ask(3)
	b.expect("answers", b.answers, []string{"2 0 " + ErrGone.Error(), fmt.Sprintf("1 %d <nil>", os.Getpid()), "3 0 " + ErrGone.Error()})
	if b.Busy() || len(b.sent) != 3 {
		t.Errorf("busy %v, sent %v", b.Busy(), b.sent)
	}
}

func TestHangUp(t *testing.T) {
	b := newBench(t)
	b.ask(1)
	b.ask(2)
	b.hangUp()
	if err := b.Heard(b.hear(), believeAll); err != nil {
		t.Error(err)
	}
	if b.Due().IsZero() || len(b.answers) > 0 {
		t.Errorf("before the loader is reaped: due %v, answers %v", b.Due(), b.answers)
	}
	b.Finish()
	b.Reaped()
	b.expect("answers", b.answers, []string{"1 0 " + ErrGone.Error(), "2 0 " + ErrGone.Error()})
	b.ask(3) // which cannot be sent any more
	if len(b.answers) != 3 || len(b.sent) != 3 {
		t.Errorf("answers %v, sent %v", b.answers, b.sent)
	}
}

func TestCancel(t *testing.T) {
	b := newBench(t)
	b.ask(1)
	b.ask(2)
	b.Cancel(1) // which is sent already
	b.Cancel(2)
	if !b.Busy() || len(b.sent) != 2 || len(b.answers) > 0 {
		t.Errorf("busy %v, sent %v, answers %v", b.Busy(), b.sent, b.answers)
	}
	b.say("SPAWNED=1")
	if err := b.Heard(b.hear(), believeAll); err != nil || b.Busy() {
		t.Errorf("%v, busy %v", err, b.Busy())
	}
}

// What is too much for one message is told, and does not keep others from being asked for.
func TestTooMuch(t *testing.T) {
	b := newBench(t)
	b.Ask(Request{
		Seq: 1, Env: []string{"A=" + strings.Repeat("x", protocol.MaxLoader)}, Sent: func() {},
		Answer: func(pid int, err error) { b.answers = append(b.answers, fmt.Sprint(pid, err)) },
	})
	b.ask(2)
	if len(b.answers) != 1 || !strings.Contains(b.answers[0], "more than 65536") || !strings.HasPrefix(b.asked(), "SPAWN=2\n") {
		t.Errorf("answers %v", b.answers)
	}
}

// The end of file is read, and what is said is heard all the same.
func TestEnd(t *testing.T) {
	b := newBench(t)
	if err := b.End(); err != nil {
		t.Fatal(err)
	}
	if got := b.asked(); got != "" {
		t.Errorf("asked %q", got)
	}
	b.say("STATUS=bye")
	if m := b.hear(); m.Status != "bye" {
		t.Errorf("heard %+v", m)
	}
}

// What is repeated without end is heard once, and nothing is lost by a pause.
func TestRepeated(t *testing.T) {
	b := newBench(t)
	b.say("STATUS=2 threads run")
	b.say("READY=1")
	b.say("STATUS=2 threads run")
	b.say("READY=1")
	b.say("STATUS=a GPU is open")
	var heard []string
	for range 3 {
		m := b.hear()
		heard = append(heard, fmt.Sprint(m.Ready, m.Status))
	}
	b.expect("heard", heard, []string{"false2 threads run", "true", "falsea GPU is open"})
	for i := range 2 * maxStatuses {
		b.say(fmt.Sprintf("STATUS=%d", i))
	}
	b.say("SPAWNED=1")
	different := 0
	for b.hear().Spawned == 0 {
		different++
	}
	if different != maxStatuses-2 {
		t.Errorf("%d texts more are heard", different)
	}

	for paused, over := b.Pause(), false; !over; {
		select {
		case m := <-b.messages:
			t.Errorf("heard %+v", m)
		case <-paused:
			over = true
		}
	}
	b.say("SPAWNED=2")
	b.serve()
	if m := b.hear(); m.Spawned != 2 || m.Sender != os.Getpid() || m.PID != os.Getpid() {
		t.Errorf("after a pause: %+v", m)
	}
}

// Who does not answer in time hangs, unless nobody has listened meanwhile.
func TestOverdue(t *testing.T) {
	b := newBench(t)
	b.ask(1)
	start := time.Now()
	if b.Overdue(start.Add(protocol.SpawnTimeout - time.Second)) {
		t.Error("it is early")
	}
	late := start.Add(time.Hour)
	if b.Overdue(late) || b.Overdue(late.Add(protocol.Lateness/2)) {
		t.Error("nobody has listened for an hour, and the loader is blamed for that")
	}
	if !b.Overdue(late.Add(protocol.Lateness)) {
		t.Error("it hangs")
	}
	b.Fail(errors.New("it hangs"))
	b.expect("answers", b.answers, []string{"1 0 it hangs"})
	b.ask(2)
	if b.Overdue(late) || b.Due().IsZero() {
		t.Error("a mistake of the one before is held against the next one")
	}
}
