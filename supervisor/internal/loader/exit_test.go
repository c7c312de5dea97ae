//go:build linux

package loader

import (
	"fmt"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// One that has closed its end may need its time to exit: it does not hang before that is
// over, and what it is asked for meanwhile waits for its end.
func TestTakesItsTimeToExit(t *testing.T) {
	b := newBench(t)
	b.hangUp()
	b.ask(1) // before that is heard of
	if err := b.Heard(b.hear(), believeAll); err != nil {
		t.Error(err)
	}
	b.ask(2)
	if heard := time.Now(); b.Overdue(heard.Add(protocol.UnloadGrace-time.Second)) || !b.Busy() || b.late {
		t.Errorf("it hangs, busy %v, answers %v", b.Busy(), b.answers)
	}
	if b.Overdue(b.Due()) || !b.Overdue(b.Due()) {
		t.Error("it does not hang")
	}
	b.Finish()
	b.Reaped()
	b.expect("answers", b.answers, []string{"1 0 " + ErrGone.Error(), "2 0 " + ErrGone.Error()})
}

// pause has nobody hear what is said.
func (b *bench) pause() {
	b.t.Helper()
	select {
	case <-b.Pause():
	case <-time.After(long):
		b.t.Fatal("there is no pause")
	}
}

// serveNobody receives, and nobody takes what is said. begun gets something when there is
// something to take.
func (b *bench) serveNobody() (begun <-chan struct{}) {
	one := make(chan struct{}, 9)
	b.Serve(func(_ Message, over <-chan struct{}) bool {
		one <- struct{}{}
		<-over
		return false
	})
	return one
}

// What one that has ended said before, and nobody has taken, is not lost, and is said once:
// what was on its way as well as what was in the socket.
func TestLastWords(t *testing.T) {
	for name, arrive := range map[string]func(b *bench, say func()){
		"in the socket": func(_ *bench, say func()) { say() },
		"on its way": func(b *bench, say func()) {
			begun := b.serveNobody()
			say()
			<-begun
		},
		"on its way in a pause that was too short": func(b *bench, say func()) {
			begun := b.serveNobody()
			say()
			<-begun
			b.Pause()
			b.serveNobody()
		},
		"it has not read all that it was told": func(b *bench, say func()) {
			b.ask(1)
			say()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.pause()
			arrive(b, func() {
				for _, text := range []string{"STATUS=loading", "READY=1", "READY=1", "FAILED=7"} {
					b.say(text)
				}
				b.hangUp()
			})
			var got []string
			for _, m := range b.Finish() {
				got = append(got, fmt.Sprintf("%q %t %d %t", m.Status, m.Ready, m.Failed, m.Ended))
			}
			b.expect("messages", got, []string{`"loading" false 0 false`, `"" true 0 false`, `"" false 7 false`, `"" false 0 true`})
			if left := b.Finish(); len(left) > 0 {
				t.Errorf("then %+v", left)
			}
		})
	}
}

// A worker that one was asked for may say that it is there after the end, which is heard as
// soon as nothing stands still.
func TestWorkerOfTheDead(t *testing.T) {
	for name, paused := range map[string]bool{"heard": false, "in a pause": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.ask(1)
			b.asked()
			if paused {
				b.pause()
			}
			if left := b.Finish(); len(left) > 0 {
				t.Errorf("it has said %+v", left)
			}
			b.Reaped()
			if paused != (b.channel.pausing == nil) {
				t.Errorf("in a pause: %t, somebody hears: %t", paused, b.channel.pausing != nil)
			}
			if paused {
				b.serve()
			}
			b.say("SPAWNED=1")
			if err := b.Heard(b.hear(), believeAll); err != nil || b.Busy() {
				t.Errorf("%v, busy %v", err, b.Busy())
			}
		})
	}
}
