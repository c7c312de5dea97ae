package fleet

import "time"

// stay is what the oracle knows of a worker beside its successor.
type stay struct {
	since   time.Time // zero: there is none that is ready
	looked  bool
	streams int // at the last look
	fewest  int // at any look in the first half of the time
}

// watching is the brain of which it knows that.
type watching struct {
	brain *Fleet
}

// hearStreams notes how many requests of workers last.
func (o *oracle) hearStreams(now time.Time, ev Event) {
	looked, is := ev.(Looked)
	if !is {
		return
	}
	for _, sight := range looked.Sights {
		w := o.alive[sight.ID]
		if w == nil || w.stay.since.IsZero() {
			continue
		}
		w.stay.streams = sight.Streams
		if half := now.Sub(w.stay.since) < LingerFor/2; half && w.stay.looked {
			w.stay.fewest = min(w.stay.fewest, sight.Streams)
		} else if half {
			w.stay.fewest = sight.Streams
		} else if !w.stay.looked {
			w.stay.fewest = 1 << 20
		}
		w.stay.looked = true
	}
}

// may says whether a worker is one that may stay beside its successor for a while.
func (o *oracle) may(now time.Time, w *life) bool {
	if o.settings[o.current].Private || !o.stopAt.IsZero() || o.closed || len(o.reloads) > 0 || w.Revision != o.current || !w.header {
		return false
	}
	for _, other := range o.alive {
		if other.found && !o.prev[other.ID] { // nor was told to go before this step
			return false
		}
	}
	known := o.brain.worker(w.ID)
	return known != nil && known.failing.IsZero() && known.Recycle != "" && known.Recycle != ReasonRecycle && known.Recycle != ReasonFailures
}

// over says whether it is time for a worker to go that may stay.
func (w *life) over(now time.Time) bool {
	s := w.stay
	age := now.Sub(s.since)
	return !s.since.IsZero() && (age >= LingerFor || s.looked && (s.streams == 0 || age >= LingerFor/2 && s.streams <= s.fewest))
}

// succeeded says whether there is a ready worker that is to stay in the place of this one, or
// is newer.
func (o *oracle) succeeded(w *life) bool {
	for _, other := range o.alive {
		known := o.brain.worker(other.ID)
		fresh := other.Revision == o.current && known != nil && known.Recycle == ""
		if other.Slot == w.Slot && other.ID != w.ID && other.ready && !other.told && !other.killed && (fresh || other.ID > w.ID) {
			return true
		}
	}
	return false
}

// patient checks who stays beside a successor, and for how long.
func (o *oracle) patient(now time.Time) string {
	if o.halted {
		return ""
	}
	for _, w := range o.alive {
		if !w.ready || w.told || w.killed || !w.aborted.IsZero() || w.Slot == NoSlot || o.brain.worker(w.ID).Recycle == "" || !o.succeeded(w) {
			w.stay = stay{}
			continue
		}
		switch {
		case !o.may(now, w):
			return "stays beside its successor without need"
		case w.over(now):
			return "stays beside its successor for too long"
		case w.stay.since.IsZero():
			w.stay = stay{since: now}
		}
	}
	return ""
}

// hasty says whether a worker goes that should have stayed.
func (o *oracle) hasty(now time.Time, id int) string {
	w := o.alive[id]
	if w != nil && w.ready && o.fills(w.Slot) && o.succeeded(w) && o.may(now, w) && !w.over(now) {
		return "told to drain while its streams last"
	}
	return ""
}
