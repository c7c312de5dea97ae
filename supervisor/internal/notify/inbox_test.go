//go:build linux

package notify

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A recorder is a deliver that writes down when it got what.
type recorder struct {
	start time.Time
	got   []string
}

func (r *recorder) deliver(m Message) bool {
	r.got = append(r.got, fmt.Sprintf("%v %+v", time.Since(r.start).Round(time.Millisecond), m))
	return true
}

func record() (*recorder, *inbox) {
	r := &recorder{start: time.Now()}
	return r, &inbox{deliver: r.deliver, done: make(chan struct{})}
}

func TestOnlyNewsIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, i := record()
		for range 1000 {
			i.put(Message{Ready: true, HasStatus: true, Status: "up"})
			i.put(Message{Recycle: "max_requests"})
			i.put(Message{Recycle: "other"})
			i.put(Message{Stopping: true})
			i.put(Message{})
		}
		time.Sleep(time.Hour) // in the time of the bubble
		synctest.Wait()
		if len(r.got) != 3 {
			t.Errorf("%d deliveries: %q", len(r.got), r.got)
		}
	})
}

func TestFloodIsMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Duration
		var last Message
		start := time.Now()
		_, i := record()
		i.deliver = func(m Message) bool {
			times, last = append(times, time.Since(start)), m
			return true
		}
		for n := range 10_000 { // ten seconds of it
			i.put(Message{HasStatus: true, Status: fmt.Sprint(n)})
			i.put(Message{ExtendTimeout: time.Duration(n)})
			time.Sleep(time.Millisecond) // in the time of the bubble
		}
		time.Sleep(time.Second) // in the time of the bubble
		synctest.Wait()
		// At once, and ten a second from then on.
		if times[0] != 0 || len(times) > 102 || len(times) < 96 {
			t.Errorf("%d deliveries, at %v", len(times), times)
		}
		if want := (Message{HasStatus: true, Status: "9999", ExtendTimeout: 9999}); last != want {
			t.Errorf("the last one was %+v, want %+v", last, want)
		}
	})
}

func TestUrgentNewsDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, i := record()
		for n := range 100 {
			i.put(Message{HasStatus: true, Status: fmt.Sprint(n)})
		}
		r.got = nil
		i.put(Message{Ready: true})
		i.put(Message{HasStatus: true, Status: "x"})
		i.put(Message{Recycle: "memory"})
		i.put(Message{Stopping: true})
		want := []string{
			// What waited goes along, so that a status is never older than the READY after it.
			fmt.Sprintf("0s %+v", Message{Ready: true, HasStatus: true, Status: "99"}),
			fmt.Sprintf("0s %+v", Message{HasStatus: true, Status: "x", Recycle: "memory"}),
			fmt.Sprintf("0s %+v", Message{Stopping: true}),
		}
		if !slices.Equal(r.got, want) {
			t.Errorf("got %q, want %q", r.got, want)
		}
		time.Sleep(time.Hour) // in the time of the bubble
		synctest.Wait()
		if len(r.got) != len(want) {
			t.Errorf("delivered again: %q", r.got[len(want):])
		}
	})
}

func TestDrainWaitsForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, i := record()
		i.drain(i.done)
		for n := range 3 {
			i.put(Message{HasStatus: true, Status: fmt.Sprint(n)})
		}
		i.drain(i.done)
		if len(r.got) != 2 || time.Since(r.start) != deliverEvery {
			t.Errorf("after %v: %q", time.Since(r.start), r.got)
		}
		i.put(Message{HasStatus: true, Status: "x"})
		close(i.done)
		i.drain(i.done) // now nobody waits
		if time.Since(r.start) != deliverEvery {
			t.Errorf("drain took until %v", time.Since(r.start))
		}
	})
}

func TestNothingIsDeliveredAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, i := record()
		for n := range 100 {
			i.put(Message{HasStatus: true, Status: fmt.Sprint(n)})
		}
		close(i.done)
		n := len(r.got)
		i.put(Message{Ready: true})
		i.drain(i.done)
		time.Sleep(time.Hour) // in the time of the bubble
		synctest.Wait()
		if len(r.got) != n {
			t.Errorf("delivered after close: %q", r.got[n:])
		}
	})
}

// Whoever resumes may be the one who takes what is delivered.
func TestResumeDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, i := record()
		i.hold()
		i.put(Message{Ready: true})
		delivered := make(log)
		i.resume(delivered.take)
		if got := <-delivered; got != (Message{Ready: true}) {
			t.Errorf("delivered %+v", got)
		}
	})
}

// In real time: synctest cannot see that somebody waits for a mutex.
func TestQuiesceWaitsForALateDelivery(t *testing.T) {
	late, returned := make(chan struct{}), false
	n := 0
	i := &inbox{done: make(chan struct{})}
	i.deliver = func(Message) bool {
		if n++; n == 1 {
			return true
		}
		close(late)
		<-i.done
		for range 1000 {
			runtime.Gosched()
		}
		returned = true
		return true
	}
	for n := range 2 {
		i.put(Message{HasStatus: true, Status: fmt.Sprint(n)})
	}
	<-late
	close(i.done)
	if i.quiesce(); !returned {
		t.Error("it did not wait")
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		start := time.Now()
		for range 10 * paceMessages {
			if !p.wait(nil) {
				t.Fatal("gave up")
			}
		}
		if d := time.Since(start); d != 9*paceWindow {
			t.Errorf("a flood of %d took %v", 10*paceMessages, d)
		}
		// Whoever sends less than that is never held back.
		p, start = pace{}, time.Now()
		for range 10 * paceMessages {
			time.Sleep(paceWindow / paceMessages) // in the time of the bubble
			p.wait(nil)
		}
		if d := time.Since(start); d != 10*paceWindow {
			t.Errorf("%d messages over %v took %v", 10*paceMessages, 10*paceWindow, d)
		}
		done := make(chan struct{})
		close(done)
		if p.wait(done) {
			t.Error("went on after done")
		}
	})
}

// BenchmarkFlood is one message of very many.
func BenchmarkFlood(b *testing.B) {
	_, i := record()
	i.deliver = func(Message) bool { return true }
	texts := [2]string{"loading", "loaded"}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		i.put(Message{HasStatus: true, Status: texts[n%2]})
	}
}
