package scoreboard

import (
	"math/bits"
	"sync/atomic"
)

// NoSlot stands for the slot of a request that found none. The methods that take
// a slot do nothing for it.
const NoSlot = -1

// slotSet says which slots are taken, one bit each. It is not on the board, where
// a stray write could give one slot to two requests.
type slotSet [(MaxSlots + 63) / 64]atomic.Uint64

// take takes the slot of the hint if it is free, else any.
func (s *slotSet) take(hint int) int {
	if hint >= 0 && hint < MaxSlots {
		bit := uint64(1) << (hint % 64)
		if s[hint/64].Or(bit)&bit == 0 {
			return hint
		}
	} else {
		hint = 0
	}
	for i := range s {
		n := (hint/64 + i) % len(s)
		for {
			old := s[n].Load()
			free := ^old
			if n == len(s)-1 && MaxSlots%64 != 0 {
				free &= 1<<(MaxSlots%64) - 1
			}
			if free == 0 {
				break
			}
			if s[n].CompareAndSwap(old, old|free&-free) {
				return 64*n + bits.TrailingZeros64(free)
			}
		}
	}
	return NoSlot
}

func (s *slotSet) free(i int) { s[i/64].And(^(uint64(1) << (i % 64))) }

// Take puts a request that begins into a free slot and returns the slot's number,
// or [NoSlot], and counts that, if there is none. The hint is tried first: give
// the slot that the caller had before, or NoSlot. Times are those of [Monotonic];
// deadline is 0 if there is none. Text may hold anything and have any length.
func (b *Board) Take(hint int, start, deadline int64, method, path, id string) int {
	i := b.taken.take(hint)
	if i == NoSlot {
		b.data.u64(OffsetUnslotted).Add(1)
		return NoSlot
	}
	b.data.grow(OffsetSlotCount, uint32(i)+1)
	b.fill(Slot{Index: i, Start: start, Progress: start, Deadline: deadline, Flags: InUse}, method, path, id)
	return i
}

// TakeOverdue puts a request for which Take had no slot into one of those that are kept
// for what is past its deadline, so that the master sees it however many others there
// are. It returns the number, or [NoSlot]: as many as there is room for are seen then.
// The Index and the Sequence of the request are ignored.
func (b *Board) TakeOverdue(s Slot, method, path, id string) int {
	for {
		old := b.late.Load()
		i := bits.TrailingZeros32(^old)
		if i >= MaxOverdue {
			return NoSlot
		}
		if b.late.CompareAndSwap(old, old|1<<i) {
			b.data.grow(OffsetOverdue, uint32(i)+1)
			s.Index = MaxSlots + i
			b.fill(s, method, path, id)
			return s.Index
		}
	}
}

// fill writes a slot.
func (b *Board) fill(r Slot, method, path, id string) {
	s := b.data.slot(r.Index)
	// Odd whatever was there: the sequence only has to change.
	sequence := s.u64(slotSequence).Load() | 1
	s.u64(slotSequence).Store(sequence)
	s.u64(slotStart).Store(uint64(r.Start))
	s.u64(slotProgress).Store(uint64(r.Progress))
	s.u64(slotDeadline).Store(uint64(r.Deadline))
	lengths := s.setText(slotMethod, MaxMethod, method) |
		s.setText(slotPath, MaxPath, path)<<8 |
		s.setText(slotID, MaxID, id)<<16
	s.u32(slotMethodLength).Store(lengths)
	s.u32(slotFlags).Store(uint32(r.Flags | InUse))
	s.u64(slotSequence).Store(sequence + 1)
}

// grow makes the slots below count ones that are read, by the number at the offset.
func (w words) grow(offset int, count uint32) {
	word := w.u32(offset)
	for old := word.Load(); old < count && !word.CompareAndSwap(old, count); old = word.Load() {
	}
}

// Progress records a sign of life of the request in the slot.
func (b *Board) Progress(slot int, now int64) {
	if slot >= 0 {
		b.data.slot(slot).u64(slotProgress).Store(uint64(now))
	}
}

// Mark adds flags to a slot that is in use.
func (b *Board) Mark(slot int, flags Flags) {
	if slot >= 0 {
		b.data.slot(slot).u32(slotFlags).Or(uint32(flags))
	}
}

// Free gives the slot back.
func (b *Board) Free(slot int) {
	if slot >= 0 {
		b.data.slot(slot).u32(slotFlags).Store(0)
		if slot >= MaxSlots {
			b.late.And(^uint32(1 << (slot - MaxSlots)))
			return
		}
		b.taken.free(slot)
	}
}

// slot returns the memory of one slot, on which the offsets of a slot count.
func (w words) slot(i int) words {
	at := OffsetSlots + SlotSize*i
	if i >= MaxSlots {
		at = OffsetOverdueSlot + SlotSize*(i-MaxSlots)
	}
	return w[at : at+SlotSize : at+SlotSize]
}

// setText writes a text, cut and printable, and returns its length.
func (w words) setText(offset, limit int, text string) uint32 {
	n := min(len(text), limit)
	for at := 0; at < n; at += 8 {
		part := text[at:min(at+8, n)]
		word, ok := plain(part)
		if !ok {
			word = 0
			for j := range len(part) {
				word |= uint64(printable(part[j])) << (8 * j)
			}
		}
		w.u64(offset + at).Store(word)
	}
	return uint32(n)
}

// plain returns eight bytes as the word that is stored, if all of them are printable.
func plain(s string) (word uint64, ok bool) {
	if len(s) != 8 {
		return 0, false
	}
	const low, high = 0x0101010101010101, 0x8080808080808080
	word = uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	// A byte above 0x7e, one below 0x20: either leaves its highest bit set. A carry
	// from a byte to the next can only come from one that has it set itself.
	return word, (word|(word+low)|(word-0x20*low))&high == 0
}

// printable returns the byte itself, or "?" for one that could do harm on a
// terminal or in a log.
func printable(c byte) byte {
	if c < 0x20 || c > 0x7e {
		return '?'
	}
	return c
}
