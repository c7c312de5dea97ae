package scoreboard

// A View is the master's reading of one board. Every byte pattern is acceptable
// input: no method fails, blocks, allocates or remembers anything, and what the
// worker wrote is returned as it is found. The zero View, and a View of a closed
// [Memory], read as a board of zeros.
type View struct {
	mem *Memory
}

// Header is what a worker says about itself and its layout.
type Header struct {
	Version    uint32
	HeaderSize uint32
	SlotSize   uint32
	SlotCount  uint32
	PID        uint32 // for people to look at; never to be signalled
	State      State
}

// Counters are the totals of one worker since it started. They are read one by
// one, so they may be apart by what happened in between, and a hostile worker can
// make them jump or go backwards.
type Counters struct {
	Started  uint64    // requests begun
	Finished uint64    // requests whose handler has returned, or that were ended at their deadline
	Status   [5]uint64 // Finished by status class: 1xx, 2xx, 3xx, 4xx, 5xx
	Accepted uint64    // connections accepted
	Open     uint64    // connections open now

	Timeouts   uint64 // requests ended at their deadline
	Unslotted  uint64 // requests that found no free slot
	LogDropped uint64 // lines of the access log that were dropped
	Beat       uint64 // signs of life, 0 if the worker gives none
}

// Failures are those of a worker that count. Times are those of [Monotonic], 0 if there is
// none.
type Failures struct {
	Row       uint32 // in a row, up to now
	Since     int64  // when the first of these was finished
	Succeeded int64  // when the latest request began that was answered well
}

// Failures returns the failures as they are on the board, whether or not there is a header.
func (v View) Failures() Failures {
	w := v.words()
	if w == nil {
		return Failures{}
	}
	return Failures{
		Row: w.u32(OffsetFailures).Load(), Since: int64(w.u64(OffsetFailing).Load()), Succeeded: int64(w.u64(OffsetSucceeded).Load()),
	}
}

// Header returns the header. It reports false, and the worker is a plain one, if
// the magic is missing, the version is not [Version], or the sizes are not those
// of this version. With the magic present Header.Version is filled in all the
// same, so that the caller can tell a newer worker from a broken one; without it
// the header is zero.
func (v View) Header() (Header, bool) {
	w := v.words()
	if w == nil || w.u64(OffsetMagic).Load() != magicWord {
		return Header{}, false
	}
	h := Header{
		Version:    w.u32(OffsetVersion).Load(),
		HeaderSize: w.u32(OffsetHeaderSize).Load(),
		SlotSize:   w.u32(OffsetSlotSize).Load(),
		SlotCount:  w.u32(OffsetSlotCount).Load(),
		PID:        w.u32(OffsetPID).Load(),
		State:      State(w.u32(OffsetState).Load()),
	}
	ok := h.Version == Version && h.HeaderSize == HeaderSize && h.SlotSize == SlotSize &&
		h.SlotCount <= MaxSlots
	return h, ok
}

// Counters returns the totals as they are on the board, whether or not there is a
// header.
func (v View) Counters() Counters {
	w := v.words()
	if w == nil {
		return Counters{}
	}
	c := Counters{
		Started:  w.u64(OffsetStarted).Load(),
		Finished: w.u64(OffsetFinished).Load(),
		Accepted: w.u64(OffsetAccepted).Load(),
		Open:     w.u64(OffsetOpen).Load(),

		Timeouts:   w.u64(OffsetTimeouts).Load(),
		Unslotted:  w.u64(OffsetUnslotted).Load(),
		LogDropped: w.u64(OffsetLogDropped).Load(),
		Beat:       w.u64(OffsetBeat).Load(),
	}
	for i := range c.Status {
		c.Status[i] = w.u64(OffsetFinished1xx + 8*i).Load()
	}
	return c
}

// SetDrainUntil tells the worker when it will be killed, in [Monotonic]
// nanoseconds; 0 means that it is not draining. Set it before the stop signal is
// sent. It may be set again while the worker drains.
func (v View) SetDrainUntil(ns int64) { v.set(OffsetDrainUntil, uint64(ns)) }

// SetLeaving tells the worker which of its listening sockets, by index, are about
// to be closed by the master too, so that the worker accepts them empty when it
// drains. Set it before the stop signal is sent.
func (v View) SetLeaving(bits uint64) { v.set(OffsetLeaving, bits) }

// SetAbortFollows tells the worker whether it will be asked for its stacks, by the
// abort signal, at the end of its drain. It may change while the worker drains.
func (v View) SetAbortFollows(follows bool) {
	var word uint64
	if follows {
		word = 1
	}
	v.set(OffsetAbort, word)
}

// CanHold reports whether the worker says that it accepts nothing while it is told to hold.
func (v View) CanHold() bool {
	w := v.words()
	return w != nil && w.u64(OffsetCan).Load()&canHold != 0
}

// CanTell reports whether the worker says when it is busy, once [View.SetBusyAt] has told it
// at how many requests in flight.
func (v View) CanTell() bool {
	w := v.words()
	return w != nil && w.u64(OffsetCan).Load()&canTell != 0
}

// SetBusyAt tells the worker at how many requests in flight to say that it is busy; 0: never.
func (v View) SetBusyAt(n uint64) { v.set(OffsetBusyAt, n) }

// Hold tells the worker to be a spare, which accepts nothing. It comes before the worker is
// started.
func (v View) Hold() { v.set(OffsetHold, 1) }

// Release tells a spare to accept connections, as the worker of a slot.
func (v View) Release(slot int) {
	v.set(OffsetSlot, uint64(slot)+1)
	v.set(OffsetHold, 0)
}

func (v View) set(offset int, value uint64) {
	if w := v.words(); w != nil {
		w.u64(offset).Store(value)
	}
}

func (v View) words() words {
	if v.mem == nil {
		return nil
	}
	return v.mem.data
}
