//go:build linux

package listeners

import (
	"slices"

	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// wanted are the sockets of the current revision that there are to be workers for: the
// shared ones, and those of the slots that are to be filled.
func (l *Listeners) wanted() *socket.Set {
	slots := l.options.Fleet.Slots()
	return l.options.Revisions.Current.Sockets.OfThose(func(slot int) bool { return slices.Contains(slots, slot) })
}

// CloseSlots gives up the sockets of slots that are not to be filled any more, and in
// which no worker accepts: who comes later is refused, and a proxy in front goes
// elsewhere at once. What waits in their queues is accepted by those who drain.
func (l *Listeners) CloseSlots() {
	if len(l.options.Revisions.Current.Config.BindSlot) == 0 || l.options.Fleet.Closed() {
		return
	}
	slots := l.options.Fleet.Slots()
	l.GiveUp(l.unserved(l.options.Revisions.Current.Sockets.Private(func(slot int) bool { return !slices.Contains(slots, slot) })))
}

// OpenSlot binds what the slot of a worker that is about to be made listens on alone, if
// it does not yet: it may never have been filled, or was not to be for a while. then is
// called by the owner when that is done, at once if nothing is to be waited for.
func (l *Listeners) OpenSlot(w *roster.Worker, then func(error)) {
	addresses, err := w.Rev.SlotAddresses(w.Slot)
	own := w.Rev.Sockets.Private(func(slot int) bool { return slot == w.Slot })
	if err == nil && own.Len() == len(addresses[w.Slot]) {
		if own = own.Quiesced(); own.Len() > 0 {
			l.Want(own)
			err = l.Listen(own, l.ReplaceHolders) // before the worker is given what may be renewed
		}
		then(err)
		return
	}
	if err != nil {
		then(err)
		return
	}
	if others, busy := l.opening[w.Slot]; busy {
		l.opening[w.Slot] = func() {
			others()
			l.OpenSlot(w, then)
		}
		return
	}
	if l.opening == nil {
		l.opening = map[int]func(){}
	}
	l.opening[w.Slot] = func() {}
	held := append(l.options.Revisions.Sockets(), l.Leaving()...)
	plan := socket.NewPlan(socket.Addresses{Slots: addresses}, w.Rev.SocketOptions(), held...)
	l.Do(func() { err = plan.Bind() }, func() {
		others := l.opening[w.Slot]
		delete(l.opening, w.Slot)
		own = nil
		if err == nil {
			own = plan.Take()
		}
		switch {
		case own != nil:
			l.Want(own)
			w.Rev.Sockets = w.Rev.Sockets.With(w.Slot, own)
			then(nil)
		case err == nil: // one was closed meanwhile that it was to take over
			_ = plan.Close()
			l.OpenSlot(w, then)
		default:
			then(err)
		}
		others()
	})
}
