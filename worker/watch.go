//go:build unix

package worker

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/internal/clock"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// timeouts are the limits on single requests. Zero is no limit.
type timeouts struct {
	timeout time.Duration // without progress, before the response has begun
	stream  time.Duration // without progress, once it has begun
	upgrade time.Duration // without progress, once the connection is hijacked
	request time.Duration // from beginning to end
}

// phase is how far a request has got. It only ever grows until the request is over.
type phase uint64

const (
	idle      phase = iota // no request
	waiting                // nothing final is known, nothing final was sent
	committed              // the handler has given its final header, still unsent
	streaming              // part of a final response was sent
	upgraded               // the handler has taken over the connection
	answered               // ended by an answer at its deadline
	cut                    // ended without one
)

// What a word holds, from its lowest bits.
const (
	phaseMask = 1<<3 - 1
	accounted = 1 << 3 // the request was counted and is in the access log
	numberOne = 1 << 4 // the rest is the number of the request
)

func (p phase) ended() bool   { return p >= answered }
func (p phase) running() bool { return p >= waiting && p <= upgraded }

// lateness is how late an alarm may go off. A later one says that this process, or the
// whole machine, was stopped or starved: that is not the fault of its requests, whose
// time without progress begins anew.
const lateness = time.Second

// An ender ends a request whose time is over, once, having been told whether by an
// answer or a cut. It is called on a goroutine of its own and with ending locked, so
// that the handler's return waits for it where it has to. The function that it
// returns, if any, is called afterwards, without the lock. Before that account is
// called, unless the handler has returned already.
type ender interface {
	end(by phase) (then func())
	account()
}

// A watch is what the limits and the board know of one request. It is used again
// for the next one, with its alarm still set: while requests come in faster than
// limits run out, a request sets none at all, since an alarm that goes off too early
// only looks when it is really due.
type watch struct {
	process    *process
	answerable phase        // the last one in which there can be an answer
	delivered  func() int64 // when the client last took something of what was written earlier, in Monotonic nanoseconds, or 0; may be nil
	ender      ender        // of the request; for who has ended it in word

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

	alarm clock.Alarm // no later than the request is due
}

// said is what a client said that is on the board.
type said struct{ method, path, id string }

// watchPool holds watches for requests that share a connection or have none of ours.
type watchPool struct{ sync.Pool }

func (p *watchPool) init(process *process, answerable phase) {
	p.New = func() any {
		w := &watch{process: process, answerable: answerable}
		w.alarm.Init(w.fire)
		return w
	}
}

func (w *watch) phase() phase { return phase(w.word.Load() & phaseMask) }

// begin puts a new request under watch.
func (w *watch) begin(method, path, id string) {
	now := scoreboard.Monotonic()
	w.start.Store(now)
	w.progress.Store(now)
	w.first.Store(0)
	var deadline int64
	if limit := w.process.timeouts.request; limit > 0 {
		deadline = now + int64(limit)
	}
	slot := w.process.board.Take(int(w.hint), now, deadline, method, path, id)
	w.slot.Store(int32(slot))
	w.left = false
	if slot == scoreboard.NoSlot {
		w.said = said{method, path, id}
	}
	word := w.word.Load()&^(numberOne-1) + numberOne | uint64(waiting)
	w.word.Store(word)
	w.rearm(word)
}

// touch records progress.
func (w *watch) touch() { w.touchAt(scoreboard.Monotonic()) }

func (w *watch) touchAt(now int64) {
	w.progress.Store(now)
	w.process.board.Progress(int(w.slot.Load()), now)
}

// advance brings the request under way to a phase, if it is not there yet, and
// reports false if there is none or it has been ended. The new phase is progress.
func (w *watch) advance(to phase) bool {
	if p := w.phase(); to >= streaming && p.running() && p < to {
		w.touch() // before the shorter limit of the new phase can apply
	}
	return w.move(to)
}

// move is advance where the time of the new phase has been noted.
func (w *watch) move(to phase) bool {
	for {
		word := w.word.Load()
		p := phase(word & phaseMask)
		if !p.running() {
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
		case streaming:
			w.first.Store(w.progress.Load())
			w.mark(scoreboard.Streaming)
		case upgraded:
			w.mark(scoreboard.Upgraded)
		}
		w.rearm(next)
		return true
	}
}

func (w *watch) mark(flags scoreboard.Flags) {
	if w.slot.Load() == scoreboard.NoSlot {
		return // it was given back, and there is no other before the next request
	}
	w.owning.Lock()
	w.process.board.Mark(int(w.slot.Load()), flags)
	w.owning.Unlock()
}

// release gives the slot back, when the handler has returned.
func (w *watch) release() {
	w.owning.Lock()
	slot := w.slot.Load()
	w.slot.Store(scoreboard.NoSlot)
	w.process.board.Free(int(slot))
	w.left, w.said = true, said{}
	w.owning.Unlock()
	if slot >= 0 {
		w.hint = slot
	}
}

// over ends the watch, unless the request has been ended: that is for good.
func (w *watch) over() {
	for {
		word := w.word.Load()
		if !phase(word & phaseMask).running() {
			return
		}
		if w.word.CompareAndSwap(word, word&^phaseMask) {
			return
		}
	}
}

// settle reports whether the request that ends by itself is to be accounted for,
// which is false if that was done at its deadline.
func (w *watch) settle() bool {
	for {
		word := w.word.Load()
		if phase(word & phaseMask).ended() {
			return false
		}
		if w.word.CompareAndSwap(word, word|accounted) {
			return true
		}
	}
}

// due returns when the request is to be ended as things are, 0 if it is not.
func (w *watch) due(word uint64) int64 {
	limits := &w.process.timeouts
	var limit time.Duration
	switch phase(word & phaseMask) {
	case waiting, committed:
		limit = limits.timeout
	case streaming:
		limit = limits.stream
	case upgraded:
		limit = limits.upgrade
	default:
		return 0
	}
	var due int64
	if limit > 0 {
		due = w.progress.Load() + int64(limit)
	}
	if limits.request > 0 {
		if end := w.start.Load() + int64(limits.request); due == 0 || end < due {
			due = end
		}
	}
	return due
}

// rearm has the alarm go off no later than the request is due.
func (w *watch) rearm(word uint64) {
	if due := w.due(word); due != 0 {
		w.alarm.By(due)
	}
}

// fire is called by the alarm. A request that begins from here on finds the alarm
// unset; one that began before is seen.
func (w *watch) fire(at int64) {
	late := scoreboard.Monotonic()-at > int64(lateness)
	for {
		word := w.word.Load()
		due := w.due(word)
		if w.word.Load() != word {
			continue // the times may have been another request's
		}
		if due == 0 {
			return
		}
		if due > scoreboard.Monotonic() {
			w.rearm(word)
			return
		}
		if late {
			late = false
			w.touch()
			continue
		}
		if w.delivered != nil {
			if at := w.delivered(); at > w.progress.Load() && w.word.Load() == word {
				w.touchAt(at)
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

// expire ends the request, unless it has changed since word was read.
func (w *watch) expire(word uint64) bool {
	by := cut
	if phase(word&phaseMask) <= w.answerable {
		by = answered
	}
	unsettled := word&accounted == 0
	w.ending.Lock()
	w.owning.Lock()
	if unsettled && w.process.overtime.Add(1) == 1 { // first: the handler may return at once
		w.process.overtimeSince.Store(scoreboard.Monotonic())
	}
	if !w.word.CompareAndSwap(word, word&^phaseMask|uint64(by)) {
		if unsettled {
			w.process.overtime.Add(-1)
		}
		w.owning.Unlock()
		w.ending.Unlock()
		return false
	}
	w.tellEnded(phase(word & phaseMask))
	w.owning.Unlock()
	w.process.board.TimedOut()
	then := w.ender.end(by)
	if unsettled {
		w.ender.account()
	}
	w.ending.Unlock()
	if then != nil {
		then()
	}
	return true
}

// tellEnded says on the board that the request was ended in a phase while its handler
// goes on, also of one that found no slot. It is called with owning.
func (w *watch) tellEnded(in phase) {
	slot := w.slot.Load()
	if slot != scoreboard.NoSlot || w.left {
		w.process.board.Mark(int(slot), scoreboard.Ended)
		return
	}
	s := scoreboard.Slot{Start: w.start.Load(), Progress: w.progress.Load(), Flags: scoreboard.Ended}
	if limit := w.process.timeouts.request; limit > 0 {
		s.Deadline = s.Start + int64(limit)
	}
	switch in {
	case streaming:
		s.Flags |= scoreboard.Streaming
	case upgraded:
		s.Flags |= scoreboard.Upgraded
	}
	w.slot.Store(int32(w.process.board.TakeOverdue(s, w.said.method, w.said.path, w.said.id)))
}
