package fleet

import (
	"strconv"
	"strings"
	"time"
)

// crowd is how many requests there are in a world at a time, and what became of the
// number of workers that it takes.
type crowd struct {
	rivers
	requests int
	room     int       // for how many workers there is memory; 0: that is not known
	tellAt   time.Time // when the brain is told next, if it does not ask before; zero: never
	grew     int       // the way the number last went since the requests are the same: -1 or 1; 0: it did not
	since    time.Time // since when that counts; zero: it does not
}

// stretch lets the number of workers follow the demand, in some revisions.
func (w *world) stretch(s *Settings) {
	if w.r.IntN(2) == 0 {
		return
	}
	s.WorkersMax = s.Workers + w.r.IntN(6)
	s.InFlight, s.IdleTimeout = 1+w.r.IntN(4), time.Second+w.ms(9000)
	if w.r.IntN(3) == 0 {
		s.Workers = 0
	}
}

// resize has an operator want some more workers, or fewer, or the machine give others.
func (w *world) resize() {
	if n := w.r.IntN(7); n < 5 {
		w.after(0, ScaleBy{n - 2})
	} else {
		w.after(0, Recount{1 + w.r.IntN(6)})
	}
}

// flock has as many requests be there from now on.
func (w *world) flock() {
	w.requests = max(w.r.IntN(25)-4, 0)
	w.room = max(w.r.IntN(12)-6, 0)
	w.tellAt = w.now.Add(w.ms(300))
	w.stock()
}

// tellBy is when to tell the brain what there is to do; zero: never.
func (w *world) tellBy() time.Time {
	due := w.fleet.DemandBy()
	if !w.tellAt.IsZero() && (due.IsZero() || w.tellAt.Before(due)) {
		return w.tellAt
	}
	return due
}

// tellDemand tells the brain what there is to do.
func (w *world) tellDemand(due time.Time) string {
	if due.After(w.now) {
		w.now = due
	}
	w.delay(5)
	w.tellAt = time.Time{}
	if w.requests > 0 {
		w.tellAt = w.now.Add(500*time.Millisecond + w.ms(3000))
	}
	return w.step(w.demand())
}

// demand is that of the requests, which the ready workers share as far as they take them.
func (w *world) demand() Demand {
	const most = 8
	d := Demand{Room: w.room}
	ready := w.fleet.count(func(x *Worker) bool { return x.State == Ready && !x.Spare() })
	left := w.requests
	for x := range w.fleet.Workers() {
		if x.State != Ready || x.Spare() {
			continue
		}
		n := min((left+ready-1)/ready, most)
		ready--
		left -= n
		if x.Cooperates() {
			d.InFlight = append(d.InFlight, InFlight{x.ID, n})
		}
	}
	d.Waiting = left
	return d
}

// steady has the requests be the same from now on, so that the number of workers, once it
// has followed, goes one way at most.
func (w *world) steady() {
	w.since = w.now.Add(time.Minute)
	w.tellAt = w.now
	w.room = 0
	w.stock()
}

// sway notes which way the number of workers goes while the requests are the same.
func (w *world) sway(a Rescale) string {
	if w.since.IsZero() || w.now.Before(w.since) || a.To == a.From || w.fleet.sizing.blind {
		return ""
	}
	way := 1
	if a.To < a.From {
		way = -1
	}
	if w.grew == -way {
		return "swings while the demand is the same"
	}
	w.grew = way
	return ""
}

// parseDemand is what a transcript tells: of the first workers how many requests each has,
// after a + how many connections wait, and after a / for how many workers there is memory.
func parseDemand(words []string) (d Demand) {
	for i, word := range words {
		n, _ := strconv.Atoi(strings.TrimLeft(word, "+/"))
		switch {
		case strings.HasPrefix(word, "+"):
			d.Waiting = n
		case strings.HasPrefix(word, "/"):
			d.Room = n
		case word != "-":
			d.InFlight = append(d.InFlight, InFlight{i + 1, n})
		}
	}
	return d
}

// stretch has the number of workers follow the demand, which took one for long.
func (s *stage) stretch() {
	r := s.current
	r.WorkersMax, r.InFlight, r.IdleTimeout, r.floor = 3, 4, time.Second, 1
	s.sizing.growths, s.sizing.needed = nil, []time.Time{s.now, s.now.Add(-r.IdleTimeout)}
}
