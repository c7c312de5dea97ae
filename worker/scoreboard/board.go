package scoreboard

import (
	"sync/atomic"
	"unsafe"
)

// A Board is the worker's side: it is written by the worker and, for six words, by
// the master. All methods may be called by any goroutine, and none of them
// allocates or waits.
type Board struct {
	data  words
	taken slotSet
	late  atomic.Uint32 // which overdue slots are taken, one bit each
}

// Unshared returns a board that no master reads, for a program that runs alone.
// It is never draining.
func Unshared() *Board {
	// Made of words, so that it is aligned for them.
	mem := make([]uint64, Size/8)
	return &Board{data: unsafe.Slice((*byte)(unsafe.Pointer(&mem[0])), Size)}
}

// WriteHeader makes the worker a cooperating one in state [Starting].
func (b *Board) WriteHeader(pid int) {
	w := b.data
	w.u32(OffsetVersion).Store(Version)
	w.u32(OffsetHeaderSize).Store(HeaderSize)
	w.u32(OffsetSlotSize).Store(SlotSize)
	w.u32(OffsetPID).Store(uint32(pid))
	w.u32(OffsetState).Store(uint32(Starting))
	w.u64(OffsetMagic).Store(magicWord)
}

// SetState records what the worker is doing.
func (b *Board) SetState(s State) { b.data.u32(OffsetState).Store(uint32(s)) }

// CanHold says that this worker accepts nothing while it [Board.Holds].
func (b *Board) CanHold() { b.data.u64(OffsetCan).Or(canHold) }

// CanTell says that this worker says when it is busy, see [Board.BusyAt].
func (b *Board) CanTell() { b.data.u64(OffsetCan).Or(canTell) }

// RequestStarted counts a request that begins and returns its number, from 1.
func (b *Board) RequestStarted() uint64 { return b.data.u64(OffsetStarted).Add(1) }

// RequestFinished counts a request that ends with this HTTP status, or is ended at
// its deadline. A status outside 100 to 599 is counted, but in no class.
func (b *Board) RequestFinished(status int) {
	if class := status / 100; class >= 1 && class <= 5 {
		b.data.u64(OffsetFinished1xx + 8*(class-1)).Add(1)
	}
	b.data.u64(OffsetFinished).Add(1)
}

// Failed counts a request, finished now, that the application failed to answer, and returns
// how many there are in a row. Times are those of [Monotonic].
func (b *Board) Failed(now int64) (row uint32) {
	if b.data.u32(OffsetFailures).Load() == 0 {
		b.data.u64(OffsetFailing).Store(uint64(now)) // first: the number says that it holds
	}
	return b.data.u32(OffsetFailures).Add(1)
}

// Succeeded ends a row of failures with a request that began at a time and was answered
// well.
func (b *Board) Succeeded(start int64) {
	if row := b.data.u32(OffsetFailures); row.Load() != 0 {
		row.Store(0)
	}
	word := b.data.u64(OffsetSucceeded)
	for old := word.Load(); old < uint64(start) && !word.CompareAndSwap(old, uint64(start)); old = word.Load() {
	}
}

// Beat gives a sign of life.
func (b *Board) Beat() { b.data.u64(OffsetBeat).Add(1) }

// LogDropped counts a line of the access log that was dropped.
func (b *Board) LogDropped() { b.data.u64(OffsetLogDropped).Add(1) }

// TimedOut counts a request that was ended at its deadline.
func (b *Board) TimedOut() { b.data.u64(OffsetTimeouts).Add(1) }

// InFlight returns how many requests have started and not finished. One that was
// ended at its deadline has finished, even if its handler goes on.
func (b *Board) InFlight() uint64 {
	// Finished is read first: the difference may then be too large by what has
	// started in between, but never negative.
	finished := b.data.u64(OffsetFinished).Load()
	return b.data.u64(OffsetStarted).Load() - finished
}

// ConnAccepted counts a connection that was accepted and is now open.
func (b *Board) ConnAccepted() {
	b.data.u64(OffsetAccepted).Add(1)
	b.data.u64(OffsetOpen).Add(1)
}

// ConnClosed counts an accepted connection that is closed.
func (b *Board) ConnClosed() { b.data.u64(OffsetOpen).Add(^uint64(0)) }

// DrainUntil returns when the master is going to kill this worker, in [Monotonic]
// nanoseconds, or 0 if it has said nothing.
func (b *Board) DrainUntil() int64 { return int64(b.data.u64(OffsetDrainUntil).Load()) }

// AbortFollows reports whether the master is going to ask for stacks, by the abort
// signal, before it kills this worker.
func (b *Board) AbortFollows() bool { return b.data.u64(OffsetAbort).Load() != 0 }

// Leaving reports whether the listening socket of this index is to be accepted
// empty before it is closed.
func (b *Board) Leaving(index int) bool {
	return index >= 0 && index < MaxLeaving && b.data.u64(OffsetLeaving).Load()>>index&1 == 1
}

// Holds reports whether this worker is a spare, which accepts nothing.
func (b *Board) Holds() bool { return b.data.u64(OffsetHold).Load() != 0 }

// Slot returns the slot of a worker that was a spare; false: it still is one, or never was.
func (b *Board) Slot() (slot int, ok bool) {
	n := b.data.u64(OffsetSlot).Load()
	return int(n) - 1, n != 0
}

// BusyAt returns at how many requests in flight this worker is to say that it is busy; 0:
// never.
func (b *Board) BusyAt() uint64 { return b.data.u64(OffsetBusyAt).Load() }
