package limit

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/internal/clock"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// What a word holds, from its lowest bits.
const (
	phaseMask = 1<<3 - 1
	accounted = 1 << 3 // the request was counted and is in the access log
	numberOne = 1 << 4 // the rest is the number of the request
)

// A process that is stopped, or starved of a processor, gives no request a chance. That
// shows in alarms that go off late, so one that nothing is heard of has more of them than
// one when it is due: one so long before, and from then on so often. What ends earlier
// leaves the request enough time.
const (
	foresight = 500 * time.Millisecond
	pulse     = 100 * time.Millisecond
)

// A Watch is what the limits and the board know of one request. It is used again
// for the next one, with its alarm still set: while requests come in faster than
// limits run out, a request sets none at all, since an alarm that goes off too early
// only looks when it is really due.
type Watch struct {
	limits     *scoreboard.Limits
	board      *scoreboard.Board
	overtime   *atomic.Int64 // see Init
	answerable Phase         // the last one in which there can be an answer
	delivered  func() int64  // see Delivered
	ender      Ender         // of the request; for who has ended it in word

	// word is the number of the request, counted by this watch, above its phase and
	// accounted. Whoever changes it from a value it has read knows that it deals with
	// the same request still.
	word     atomic.Uint64
	start    atomic.Int64 // in Monotonic nanoseconds; valid while the phase is not idle
	progress atomic.Int64 // likewise
	first    atomic.Int64 // when the response, or the answer at the deadline, began; 0 before

	owning sync.Mutex   // held while slot is marked or given back
	slot   atomic.Int32 // on the board, or NoSlot
	hint   int32        // the slot before
	left   bool         // the handler has returned; guarded by owning once the request has begun
	said   said         // of a request that found no slot

	ending sync.Mutex // held while the request is ended

	alarm clock.Alarm // no later than foresight before the request is due, or a pulse from now
}

// said is what a client said that is on the board.
type said struct{ method, path, id string }

// Init prepares the watch. Overtime counts the requests that were accounted for at their
// deadline, and whose handlers have not returned. Answerable is the last phase in which
// an answer can take the place of the handler's.
func (w *Watch) Init(limits *scoreboard.Limits, board *scoreboard.Board, overtime *atomic.Int64, answerable Phase) {
	w.limits, w.board, w.overtime, w.answerable = limits, board, overtime, answerable
	w.alarm.Init(w.fire)
}

// Delivered has the watch ask, before it ends a request, when the client last took
// something of what was written earlier, in Monotonic nanoseconds, or 0.
func (w *Watch) Delivered(last func() int64) { w.delivered = last }

// Phase returns how far the request has got.
func (w *Watch) Phase() Phase { return Phase(w.word.Load() & phaseMask) }

// Began returns when the request began, and First when its response did, or the answer at
// its deadline, 0 if neither has; both in Monotonic nanoseconds.
func (w *Watch) Began() int64 { return w.start.Load() }

// First is explained with [Watch.Began].
func (w *Watch) First() int64 { return w.first.Load() }

// SetFirst notes when the answer at the deadline began, or with 0 that there was none.
func (w *Watch) SetFirst(now int64) { w.first.Store(now) }

// Begin puts a new request under watch, which the ender is told to end.
func (w *Watch) Begin(ender Ender, method, path, id string) {
	w.ender = ender
	now := scoreboard.Monotonic()
	w.start.Store(now)
	w.progress.Store(now)
	w.first.Store(0)
	var deadline int64
	if limit := w.limits.Request; limit > 0 {
		deadline = now + int64(limit)
	}
	slot := w.board.Take(int(w.hint), now, deadline, method, path, id)
	w.slot.Store(int32(slot))
	w.left = false
	if slot == scoreboard.NoSlot {
		w.said = said{method, path, id}
	}
	word := w.word.Load()&^(numberOne-1) + numberOne | uint64(Waiting)
	w.word.Store(word)
	w.rearm(word, now)
}

// Touch records progress.
func (w *Watch) Touch() { w.TouchAt(scoreboard.Monotonic()) }

// TouchAt records progress at a time.
func (w *Watch) TouchAt(now int64) {
	w.progress.Store(now)
	w.board.Progress(int(w.slot.Load()), now)
}

// Advance brings the request under way to a phase, if it is not there yet, and
// reports false if there is none or it has been ended. The new phase is progress.
func (w *Watch) Advance(to Phase) bool {
	if p := w.Phase(); to >= Streaming && p.Running() && p < to {
		w.Touch() // before the shorter limit of the new phase can apply
	}
	return w.Move(to)
}

// Move is advance where the time of the new phase has been noted.
func (w *Watch) Move(to Phase) bool {
	for {
		word := w.word.Load()
		p := Phase(word & phaseMask)
		if !p.Running() {
			return false
		}
		if p >= to {
			return true
		}
		next := word&^phaseMask | uint64(to)
		if !w.word.CompareAndSwap(word, next) {
			continue
		}
		switch to {
		case Streaming:
			w.first.Store(w.progress.Load())
			w.mark(scoreboard.Streaming)
		case Upgraded:
			w.mark(scoreboard.Upgraded)
		}
		w.rearm(next, w.progress.Load())
		return true
	}
}

func (w *Watch) mark(flags scoreboard.Flags) {
	if w.slot.Load() == scoreboard.NoSlot {
		return // it was given back, and there is no other before the next request
	}
	w.owning.Lock()
	w.board.Mark(int(w.slot.Load()), flags)
	w.owning.Unlock()
}

// Release gives the slot back, when the handler has returned.
func (w *Watch) Release() {
	w.owning.Lock()
	slot := w.slot.Load()
	w.slot.Store(scoreboard.NoSlot)
	w.board.Free(int(slot))
	w.left, w.said = true, said{}
	w.owning.Unlock()
	if slot >= 0 {
		w.hint = slot
	}
}

// Wait returns when no end is under way: after Over there will be none any more.
func (w *Watch) Wait() {
	w.ending.Lock()
	//lint:ignore SA2001 whoever holds it is waited for
	w.ending.Unlock()
}

// Progress returns when the request last got on, in Monotonic nanoseconds.
func (w *Watch) Progress() int64 { return w.progress.Load() }

// Expire ends the request at once, as at its deadline.
func (w *Watch) Expire() bool { return w.expire(w.word.Load()) }

// Stop takes the alarm away from a watch that is not needed any more.
func (w *Watch) Stop() { w.alarm.Stop() }

// Over ends the watch, unless the request has been ended: that is for good.
func (w *Watch) Over() {
	for {
		word := w.word.Load()
		if !Phase(word & phaseMask).Running() {
			return
		}
		if w.word.CompareAndSwap(word, word&^phaseMask) {
			return
		}
	}
}

// Conclude reports whether the request, whose handler has returned, is to be accounted
// for, which is false if that was done at its deadline.
func (w *Watch) Conclude() bool {
	for {
		word := w.word.Load()
		if Phase(word & phaseMask).Ended() {
			w.overtime.Add(-1)
			return false
		}
		if w.word.CompareAndSwap(word, word|accounted) {
			return true
		}
	}
}

// due returns when the request is to be ended as things are, or Never.
func (w *Watch) due(word uint64) int64 {
	p := Phase(word & phaseMask)
	if !p.Running() {
		return scoreboard.Never
	}
	return w.limits.Due(scoreboard.Slot{Start: w.start.Load(), Progress: w.progress.Load(), Flags: p.flags()})
}

// rearm has the alarm go off when there is next something to see of the request.
func (w *Watch) rearm(word uint64, now int64) {
	if due := w.due(word); due != scoreboard.Never {
		w.alarm.By(min(due, max(due-int64(foresight), now+int64(pulse))))
	}
}

// fire is called by the alarm. A request that begins from here on finds the alarm
// unset; one that began before is seen.
func (w *Watch) fire(at int64) {
	w.forgive(at)
	for {
		word := w.word.Load()
		due := w.due(word)
		if w.word.Load() != word {
			continue // the times may have been another request's
		}
		if due == scoreboard.Never {
			return
		}
		if now := scoreboard.Monotonic(); due > now {
			w.rearm(word, now)
			return
		}
		if w.delivered != nil {
			if at := w.delivered(); at > w.progress.Load() && w.word.Load() == word {
				w.TouchAt(at)
				if w.due(word) > due {
					continue
				}
			}
		}
		if w.expire(word) {
			return
		}
	}
}

// forgive gives a request back what this process lost of its time without progress, if
// the alarm that was set for a time goes off late. When that began is known to a pulse.
// After what the master would not have waited for either that time begins anew.
func (w *Watch) forgive(at int64) {
	now := scoreboard.Monotonic()
	progress := w.progress.Load()
	late := time.Duration(now - at)
	if late <= protocol.Lateness || !w.Phase().Running() {
		return
	}
	to := now
	if late <= protocol.OverdueGrace {
		to = progress + now - max(progress, at-int64(pulse))
	}
	// A handler may get on at this very moment, and what it notes is later.
	if w.progress.CompareAndSwap(progress, to) {
		w.board.Progress(int(w.slot.Load()), w.progress.Load())
	}
}

// expire ends the request, unless it has changed since word was read.
func (w *Watch) expire(word uint64) bool {
	by := Cut
	if Phase(word&phaseMask) <= w.answerable {
		by = Answered
	}
	unaccounted := word&accounted == 0
	w.ending.Lock()
	w.owning.Lock()
	if unaccounted {
		w.overtime.Add(1) // first: the handler may return at once
	}
	if !w.word.CompareAndSwap(word, word&^phaseMask|uint64(by)) {
		if unaccounted {
			w.overtime.Add(-1)
		}
		w.owning.Unlock()
		w.ending.Unlock()
		return false
	}
	w.tellEnded(Phase(word & phaseMask))
	w.owning.Unlock()
	w.board.TimedOut()
	then := w.ender.End(by)
	if unaccounted {
		w.ender.Account()
	}
	w.ending.Unlock()
	if then != nil {
		then()
	}
	return true
}

// tellEnded says on the board that the request was ended in a phase while its handler
// goes on, also of one that found no slot. It is called with owning.
func (w *Watch) tellEnded(in Phase) {
	slot := w.slot.Load()
	if slot != scoreboard.NoSlot || w.left {
		w.board.Mark(int(slot), scoreboard.Ended)
		return
	}
	s := scoreboard.Slot{Start: w.start.Load(), Progress: w.progress.Load(), Flags: scoreboard.Ended | in.flags()}
	if limit := w.limits.Request; limit > 0 {
		s.Deadline = s.Start + int64(limit)
	}
	w.slot.Store(int32(w.board.TakeOverdue(s, w.said.method, w.said.path, w.said.id)))
}
