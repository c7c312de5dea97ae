//go:build linux

package loader

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// ErrGone is why there is no worker when its loader has ended.
var ErrGone = errors.New("the loader ended before it had made the worker")

// A Request is for one worker.
type Request struct {
	// Seq is a number above 0 that no other request ever has.
	Seq int
	// Env are the variables, as "KEY=value", and Files the descriptors of the worker from
	// 0 on, by their numbers here. They stay open until Sent is called, once: the loader
	// has copies of its own then, or never will.
	Env   []string
	Files []int
	Sent  func()
	// Answer is called once, with the pid or with why there is no worker.
	Answer func(pid int, err error)
}

// A Loader is one process that makes workers. It belongs to one goroutine.
type Loader struct {
	PID int `state:"pid"` // 0: not started yet

	channel *channel  `state:"channel"`
	waiting []Request `state:"-"`
	asked   *Request  `state:"-"` // that is sent, and not answered; nil: none is
	due     time.Time `state:"-"` // when it is taken for hung
	late    bool      `state:"-"` // that was so once, and may have been our own fault
	gone    bool      `state:"-"` // it was reaped
	ended   bool      `state:"-"` // nobody can say anything any more
}

// New makes what ties a loader to this process, which is to be started: with ChildFd,
// and CloseChild afterwards.
func New() (*Loader, error) {
	c, err := newChannel()
	if err != nil {
		return nil, err
	}
	return &Loader{channel: c}, nil
}

// Reopen makes of a loader that was written down one that can be served.
func (l *Loader) Reopen() error { return l.channel.reopen() }

// ChildFd is the descriptor that the loader is to inherit for GOSUPER_LOADER_FD.
func (l *Loader) ChildFd() int { return l.channel.child }

// CloseChild closes the copy of ChildFd that is ours. Before that there is no end of
// file. A second call does nothing.
func (l *Loader) CloseChild() { l.channel.closeChild() }

// Serve starts to receive. deliver is called by another goroutine, with what is to be
// handed to Heard. It may block until over is closed, and reports whether somebody has taken
// the message, which has to be so before.
func (l *Loader) Serve(deliver func(m Message, over <-chan struct{}) bool) { l.channel.serve(deliver) }

// Pause stops that, without losing anything. When the channel it returns is closed
// deliver is not running; until then that must go on being answered. Serve goes on.
func (l *Loader) Pause() <-chan struct{} { return l.channel.pause() }

// Done is closed when Close begins.
func (l *Loader) Done() <-chan struct{} { return l.channel.done }

// Gone says whether the process was reaped.
func (l *Loader) Gone() bool { return l.gone }

// Closed says whether nobody can say anything any more: the loader, and all that it was
// asked for, have closed their socket or ended.
func (l *Loader) Closed() bool { return l.ended }

// Busy says whether a worker is asked for that is not there yet.
func (l *Loader) Busy() bool { return l.asked != nil || len(l.waiting) > 0 }

// Due is when Overdue has to be asked; zero: the loader is not waited for.
func (l *Loader) Due() time.Time { return l.due }

// Overdue says whether the loader hangs, or what it was asked for before it ended will
// not come any more: it has not answered in time, or closed its socket. Whoever asks may
// be late himself, and hear then what was said meanwhile: that is waited for once.
func (l *Loader) Overdue(now time.Time) bool {
	if l.due.IsZero() || l.due.After(now) {
		return false
	}
	if !l.late {
		l.late, l.due = true, now.Add(protocol.Lateness)
		return false
	}
	l.due = time.Time{}
	return true
}

// Ask asks for a worker, when those before it are there.
func (l *Loader) Ask(r Request) {
	l.waiting = append(l.waiting, r)
	l.next()
}

// Cancel takes a request back, which nobody answers then. One that was sent cannot be
// taken back any more, and is answered.
func (l *Loader) Cancel(seq int) (taken bool) {
	before := len(l.waiting)
	l.waiting = slices.DeleteFunc(l.waiting, func(r Request) bool {
		if r.Seq == seq {
			r.Sent()
		}
		return r.Seq == seq
	})
	return len(l.waiting) < before
}

// next sends the next request. One that nobody can read waits for the end of the loader.
func (l *Loader) next() {
	for l.asked == nil && len(l.waiting) > 0 && (l.gone || !l.ended) {
		r := l.waiting[0]
		l.waiting = l.waiting[1:]
		err := ErrGone
		if !l.gone {
			head := []string{protocol.LoaderSpawn + strconv.Itoa(r.Seq), protocol.EnvMasterPID + "=" + strconv.Itoa(os.Getpid())}
			err = l.channel.send(append(head, r.Env...), r.Files)
		}
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
			l.waiting = slices.Insert(l.waiting, 0, r)
			l.hungUp()
			return
		}
		r.Sent()
		if err != nil {
			r.Answer(0, err)
			continue
		}
		l.asked, l.due = &r, time.Now().Add(protocol.SpawnTimeout)
	}
}

// Heard takes note of a message. believe says whether a process may be a worker that
// nobody knows yet; the error says what is wrong with the message, or with who sent it,
// which makes no difference to anything else.
func (l *Loader) Heard(m Message, believe func(pid int) error) error {
	switch {
	case m.Wrong != "":
		return errors.New(m.Wrong)
	case m.Ended:
		l.hungUp()
		if l.gone {
			l.Fail(ErrGone)
		}
	case m.Spawned == 0 && m.Failed == 0:
	case l.asked == nil || l.asked.Seq != max(m.Spawned, m.Failed):
		return ErrUnasked
	case m.Failed > 0:
		l.answer(0, &Failure{Lines: m.Reason})
	case m.PID != m.Sender && m.Sender != l.PID:
		return fmt.Errorf("process %d says that another one is a worker, and only the loader may", m.Sender)
	default:
		if err := believe(m.PID); err != nil {
			return err
		}
		l.answer(m.PID, nil)
	}
	return nil
}

// hungUp notes that the far end is closed. A process that ends does that, and how it ends is
// known some time after.
func (l *Loader) hungUp() {
	l.ended = true
	if !l.gone {
		l.due = time.Now().Add(protocol.UnloadGrace)
	}
}

// ErrUnasked is what is wrong with an answer to a request that nobody waits for.
var ErrUnasked = errors.New("an answer is to no request that waits for one")

// A Failure is why there is no worker, in the words of who should have made it.
type Failure struct{ Lines []string }

func (f *Failure) Error() string { return "the loader could not make the worker" }

// answer ends the request that was sent.
func (l *Loader) answer(pid int, err error) {
	r := l.asked
	l.asked, l.due, l.late = nil, time.Time{}, false
	r.Answer(pid, err)
	l.next()
}

// Fail answers all requests with an error.
func (l *Loader) Fail(err error) {
	waiting := l.waiting
	l.waiting = nil
	if l.asked != nil {
		l.answer(0, err)
	}
	l.drop(waiting, err)
}

// drop answers requests that were not sent.
func (l *Loader) drop(waiting []Request, err error) {
	for _, r := range waiting {
		r.Sent()
		r.Answer(0, err)
	}
}

// Finish notes that the process has ended, and returns what was said before and nobody has
// taken, which is to be handed to Heard. Reaped comes after that.
func (l *Loader) Finish() []Message {
	l.gone = true
	return l.channel.finish()
}

// Reaped notes that nothing more is heard of the process. A worker that it was asked for may
// exist all the same, and say so: it is waited for as long as somebody has the socket.
func (l *Loader) Reaped() {
	if l.ended || l.asked == nil {
		l.Fail(ErrGone)
		return
	}
	waiting := l.waiting
	l.waiting = nil
	l.drop(waiting, ErrGone)
	l.channel.again()
}

// End tells the loader that it is not needed any more.
func (l *Loader) End() error { return l.channel.end() }

// Close gives back what is held here. Of what is said nobody hears once Done is closed.
func (l *Loader) Close() { l.channel.close() }
