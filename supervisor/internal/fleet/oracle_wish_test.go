package fleet

import (
	"cmp"
	"time"
)

// wished is the reason of workers that wish to be replaced, and of nobody else.
const wished = "wished"

// wishes says whether workers are replaced because they wish it more often than they
// may be, or not at all.
func (o *oracle) wishes(f *Fleet, now time.Time) string {
	s := o.settings[o.current]
	pause := cmp.Or(s.ResetAfter, s.BackoffMax)
	for w := range f.Workers() {
		known := o.alive[w.ID]
		if known == nil || known.wished.IsZero() {
			continue
		}
		slot := w.Slot
		if o.taken[w.ID] {
			slot = NoSlot // it was granted as that of a spare
		}
		last, again := o.granted[slot]
		free := !again || now.Sub(last) >= pause
		switch {
		case w.Recycle == wished && !free:
			return "wish granted too soon"
		case w.Recycle == wished:
			o.granted[slot] = now
			known.wished = time.Time{}
		case known.told, known.killed, !known.aborted.IsZero(), w.Slot != NoSlot && !o.fills(w.Slot), w.Recycle != "":
			known.wished = time.Time{} // it goes for another reason
		case free:
			return "wish forgotten"
		default:
			if next, ok := f.Deadline(); !ok || next.After(last.Add(pause)) {
				return "wish forgotten"
			}
		}
	}
	return ""
}

func recycling(why Reason) bool {
	return why == "recycle" || why == "max_requests" || why == wished || why == ReasonLifetime
}

// replacements counts the slots in which a recycled worker lives beside its
// successor.
func (o *oracle) replacements() int {
	slots := map[int]bool{}
	for _, w := range o.alive {
		for _, s := range o.alive {
			if s.Slot != NoSlot && s.Slot == w.Slot && s.ID > w.ID && recycling(s.reason) && !s.told && !s.undead && !w.killed {
				slots[w.Slot] = true
			}
		}
	}
	return len(slots)
}

// aged says whether a worker of the slot was ready for its whole lifetime; also
// if none is there to ask.
func (o *oracle) aged(now time.Time, slot int) bool {
	young := false
	for _, w := range o.alive {
		if w.Slot == slot && w.ready && !w.undead {
			if o.old(now, w) {
				return true
			}
			young = true
		}
	}
	return !young
}

// old says whether a worker was ready for its lifetime, without jitter.
func (o *oracle) old(now time.Time, w *life) bool {
	s := o.settings[w.Revision]
	return s.Lifetime > 0 && now.Sub(w.readyAt) >= s.Lifetime
}
