package fleet

import "time"

// show schedules how a good worker lets others see that it is one: a plain one by
// its looks, perhaps with READY=1, a cooperating one by its header and READY=1.
// Whatever it does, it does in any order.
func (w *world) show(x Worker, boot time.Duration) {
	manners := w.manners[x.Revision]
	if manners.waits {
		w.after(boot, Waits{x.ID})
	}
	if manners.header {
		w.after(w.ms(int(2*boot/time.Millisecond)+1), Cooperates{x.ID})
		if !w.calm {
			boot += w.ms(2000)
		}
	}
	// Where a header was written that the command does not write, all is lost
	// without a word.
	if manners.word || w.calm && w.oracle.familiar(w.oracle.settings[x.Revision].Command) {
		w.after(boot, SaidReady{x.ID, manners.holds})
	}
}

// manners are what the workers of a revision have in common.
type manners struct{ waits, header, word, holds bool }

// mannersFor draws the manners of workers that these settings can take for ready.
func (w *world) mannersFor(s Settings) manners {
	m := manners{waits: w.r.IntN(4) > 0, header: w.r.IntN(2) == 0}
	m.word = m.header || s.Ready == ReadyNotify || !m.waits || w.r.IntN(4) == 0
	m.holds = m.header && w.r.IntN(4) > 0
	return m
}

// word is the READY=1 of a worker.
func (w *world) word(id int) Event {
	said := SaidReady{ID: id}
	if x := w.fleet.worker(id); x != nil {
		said.Holds = w.manners[x.Revision].holds
	}
	return said
}
