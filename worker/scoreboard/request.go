package scoreboard

// A Slot is a request in flight without its text: what a deadline needs.
type Slot struct {
	Index    int
	Sequence uint64
	Start    int64 // in Monotonic nanoseconds, as are the next two
	Progress int64
	Deadline int64 // absolute, 0 if there is none
	Flags    Flags
}

// Same reports whether both are about the same request, read at different times.
func (s Slot) Same(other Slot) bool {
	return s.Index == other.Index && s.Sequence == other.Sequence && s.Start == other.Start
}

// A Request is a request in flight. Its texts are printable ASCII, whatever the
// worker wrote.
type Request struct {
	Slot
	Method string // at most MaxMethod bytes
	Path   string // at most MaxPath bytes, without the query
	ID     string // at most MaxID bytes, "" if the client sent none
}

// slotReads bounds how often a slot is read again because it was being written. A
// worker that writes all the time is not worth more.
const slotReads = 4

// AppendSlots appends the slots in use to the slice and returns it. Slots that are
// being written are left out, and so is everything where [View.Header] reports
// false. Numbers are returned as they are found, which may be anything. It does
// not allocate if the slice has room for [MaxSlots] and [MaxOverdue] more.
func (v View) AppendSlots(slots []Slot) []Slot {
	h, ok := v.Header()
	if !ok {
		return slots
	}
	w := v.words()
	slots = w.appendSlots(slots, 0, int(h.SlotCount))
	return w.appendSlots(slots, MaxSlots, w.overdue())
}

// appendSlots appends those of count slots from the first on that are in use.
func (w words) appendSlots(slots []Slot, first, count int) []Slot {
	for i := range count {
		// Most slots are free: one look at one word is all they cost.
		if Flags(w.slot(first+i).u32(slotFlags).Load())&InUse == 0 {
			continue
		}
		if s, ok := w.readSlot(first+i, nil); ok {
			slots = append(slots, s)
		}
	}
	return slots
}

// overdue is the number of overdue slots to be read.
func (w words) overdue() int { return int(min(w.u32(OffsetOverdue).Load(), MaxOverdue)) }

// Request returns the request in a slot, with its text. It reports false if the
// slot is not in use, is being written or does not exist.
func (v View) Request(index int) (Request, bool) {
	h, ok := v.Header()
	if !ok || index < 0 || index >= int(h.SlotCount) && index < MaxSlots || index >= MaxSlots+v.words().overdue() {
		return Request{}, false
	}
	var text slotText
	s, ok := v.words().readSlot(index, &text)
	if !ok {
		return Request{}, false
	}
	return Request{
		Slot:   s,
		Method: text.text(slotMethod, text.lengths, MaxMethod),
		Path:   text.text(slotPath, text.lengths>>8, MaxPath),
		ID:     text.text(slotID, text.lengths>>16, MaxID),
	}, true
}

// Requests returns all requests in flight, with their text.
func (v View) Requests() []Request {
	var requests []Request
	for _, s := range v.AppendSlots(nil) {
		if r, ok := v.Request(s.Index); ok {
			requests = append(requests, r)
		}
	}
	return requests
}

// slotText is a private copy of the text of a slot.
type slotText struct {
	lengths uint32
	words   [(SlotSize - slotMethod) / 8]uint64
}

// text returns what lies at an offset of the slot, of at most limit bytes.
func (t *slotText) text(offset int, length uint32, limit int) string {
	n := min(int(length&0xff), limit)
	out := make([]byte, n)
	for i := range out {
		at := offset - slotMethod + i
		out[i] = printable(byte(t.words[at/8] >> (8 * (at % 8))))
	}
	return string(out)
}

// readSlot reads a slot in use, and its text if it is wanted.
func (w words) readSlot(index int, text *slotText) (Slot, bool) {
	m := w.slot(index)
	for range slotReads {
		s := Slot{Index: index, Sequence: m.u64(slotSequence).Load()}
		if s.Sequence%2 != 0 {
			continue
		}
		s.Start = int64(m.u64(slotStart).Load())
		s.Progress = int64(m.u64(slotProgress).Load())
		s.Deadline = int64(m.u64(slotDeadline).Load())
		s.Flags = Flags(m.u32(slotFlags).Load())
		if text != nil {
			text.lengths = m.u32(slotMethodLength).Load()
			for i := range text.words {
				text.words[i] = m.u64(slotMethod + 8*i).Load()
			}
		}
		if m.u64(slotSequence).Load() == s.Sequence {
			return s, s.Flags&InUse != 0
		}
	}
	return Slot{}, false
}
