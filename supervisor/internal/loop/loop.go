// Package loop is how goroutines work for the one that owns a state.
//
// The owner receives functions from a channel beside all else that it waits for, and
// calls them: so whoever wants to know or change something has the owner do it, and
// there is no lock around the state. What may take as long as a file system does goes
// the other way: the owner sends a goroutine on an [Errand], one after the other, and
// gets back what is to be done with the result. What only the main thread can do is an
// errand, too, and the main goroutine is who is sent.
package loop

import (
	"context"
	"errors"
	"time"
)

// ErrEnded is the answer to whoever asks a master that has ended.
var ErrEnded = errors.New("the master has ended")

// Loop is what ties goroutines to the owner of a state, which makes it by [New].
type Loop struct {
	// C is where the owner receives from, and calls what it gets.
	C chan func()
	// Main is C for what the main goroutine has done.
	Main  chan func()
	ended chan struct{}

	errands errands
	main    errands     // of the goroutine of ServeMain
	work    chan func() // for it
}

// New returns a Loop for its caller.
func New() *Loop {
	// There is room for all that may have begun, so nobody waits who sends.
	l := &Loop{C: make(chan func()), Main: make(chan func(), mainAhead), ended: make(chan struct{}), work: make(chan func(), mainAhead)}
	l.errands.most = 1
	l.errands.begin = func(work Work, over func(func())) {
		go func() {
			then := work()
			l.Report(func() { over(then) })
		}()
	}
	l.main.most = mainAhead
	l.main.begin = func(work Work, over func(func())) {
		l.work <- func() {
			then := work()
			l.Main <- func() { over(then) }
		}
	}
	return l
}

// Do has the owner call do, which may read and change all that it owns but must not
// wait for anything, and returns when that is done. Any goroutine but the owner may
// call it. After an error do was not called and will not be: the error is
// [ErrEnded], or that of the context.
func (l *Loop) Do(ctx context.Context, do func()) error {
	done := make(chan struct{})
	select {
	case l.C <- func() { defer close(done); do() }:
		<-done
		return nil
	case <-l.ended:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Report is Do for those who do not give up before the owner has ended, when what
// they have to say does not matter any more.
func (l *Loop) Report(do func()) { _ = l.Do(context.Background(), do) }

// End says that the owner receives no more. It is called once.
func (l *Loop) End() { close(l.ended) }

// Soonest returns the first of some times, of which zero is never.
func Soonest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// Within has another goroutine do something that may take as long as a file system does, and
// waits for it for so long at most.
func Within(atMost time.Duration, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	limit := time.NewTimer(atMost)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	}
}

// Ended is closed by End.
func (l *Loop) Ended() <-chan struct{} { return l.ended }
