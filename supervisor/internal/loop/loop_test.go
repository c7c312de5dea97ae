package loop

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// run does what it is asked to until the loop is to end.
func run(l *Loop, end <-chan struct{}) {
	defer l.End()
	for {
		select {
		case do := <-l.C:
			do()
		case <-end:
			return
		}
	}
}

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, end := New(), make(chan struct{})
		go run(l, end)
		n := 0
		for range 3 {
			if err := l.Do(t.Context(), func() { n++ }); err != nil {
				t.Error(err)
			}
		}
		l.Report(func() { n++ })
		if n != 4 {
			t.Errorf("%d of 4 were done", n)
		}
		release := make(chan struct{})
		go l.Report(func() { <-release })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Do(ctx, func() { n++ }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an owner that hangs: %v", err)
		}
		close(release)
		close(end)
		<-l.Ended()
		if err := l.Do(t.Context(), func() { n++ }); !errors.Is(err, ErrEnded) {
			t.Errorf("an owner that has ended: %v", err)
		}
		l.Report(func() { n++ })
		if n != 4 {
			t.Errorf("%d were done, want none of those that were given up", n)
		}
	})
}

// TestErrands: one after the other, whatever each of them takes, and what is to be
// done with the results by the owner.
func TestErrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, end := New(), make(chan struct{})
		go run(l, end)
		var did []string
		errand := func(name string, takes time.Duration) Errand {
			return func() Work {
				did = append(did, name+" begins")
				if takes == 0 {
					return nil
				}
				return func() func() {
					time.Sleep(takes) // in the time of the bubble
					return func() { did = append(did, name+" is over") }
				}
			}
		}
		l.Report(func() {
			l.Send(errand("first", time.Minute))
			l.Send(errand("second", 0))
			l.Send(func() Work {
				l.Send(errand("fourth", time.Second))
				return errand("third", time.Second)()
			})
			l.Afterwards(func() { did = append(did, "afterwards") })
			if !l.Busy() {
				t.Error("nobody is on an errand")
			}
			did = append(did, "sent")
		})
		time.Sleep(time.Hour) // in the time of the bubble
		l.Report(func() {
			if l.Busy() {
				t.Error("somebody is still on an errand")
			}
		})
		want := []string{
			"first begins", "sent", "first is over", "second begins", "third begins", "third is over", "afterwards", "fourth begins", "fourth is over",
		}
		if !slices.Equal(did, want) {
			t.Errorf("did %q, want %q", did, want)
		}
		close(end)
	})
}

// TestFinish: an owner that ends waits for errands, but not for ever.
func TestFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, over := New(), 0
		never := make(chan struct{})
		for _, takes := range []<-chan time.Time{time.After(time.Second), time.After(2 * time.Second), nil} {
			l.Send(func() Work {
				return func() func() {
					select {
					case <-takes:
					case <-never:
					}
					return func() { over++ }
				}
			})
		}
		begin := time.Now()
		if l.Finish(5 * time.Second); over != 2 || time.Since(begin) != 5*time.Second {
			t.Errorf("%d errands are over after %v", over, time.Since(begin))
		}
		l.End()
		close(never)
		synctest.Wait()
		if over != 2 {
			t.Error("one that is late was heard after the end")
		}
	})
}

// TestMainErrands: the main goroutine works in order, the owner never waits for it, and
// what has not begun when the owner finishes never does.
func TestMainErrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		served := make(chan struct{})
		go func() { defer close(served); l.ServeMain() }()
		hang := make(chan struct{})
		var begun int
		var over []int
		for n := range mainAhead + 2 {
			l.SendMain(func() Work {
				begun++
				return func() func() {
					<-hang
					return func() { over = append(over, n) }
				}
			})
		}
		synctest.Wait() // the main goroutine hangs, and this one is here all the same
		if begun != mainAhead || !l.MainBusy() || l.Busy() || len(over) > 0 {
			t.Errorf("%d have begun and %v are over, want %d and none", begun, over, mainAhead)
		}
		close(hang)
		(<-l.Main)()
		if begun != mainAhead+1 {
			t.Errorf("%d have begun after the first was over, want %d", begun, mainAhead+1)
		}
		l.Finish(time.Hour)
		if !slices.IsSorted(over) || len(over) != mainAhead+1 || l.MainBusy() {
			t.Errorf("%v are over, want %d in their order", over, mainAhead+1)
		}
		done := false
		l.OnMain(func() { done = true })
		if !done {
			t.Error("it does not wait for what the main goroutine does")
		}
		l.End()
		<-served
	})
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, answer, done := time.Now(), make(chan struct{}), 0
		Within(time.Minute, func() { done++ })
		if took := time.Since(begin); took > 0 || done != 1 {
			t.Errorf("it took %v to do something %d times", took, done)
		}
		Within(time.Minute, func() { <-answer })
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("what does not end was waited for %v", took)
		}
		close(answer)
	})
}
