package scoreboard

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Size is the size of a board in bytes.
const Size = 64 << 10

// Version is the layout described in the package comment.
const Version = 1

// Magic is what the first 8 bytes of a board say once its header is written.
const Magic = "GOSUPER1"

// Sizes that the header announces, in bytes.
const (
	HeaderSize = 4096
	SlotSize   = 256
)

// Offsets in bytes from the start of the board. The package comment says what
// each word means and who writes it.
const (
	OffsetMagic       = 0
	OffsetVersion     = 8
	OffsetHeaderSize  = 12
	OffsetSlotSize    = 16
	OffsetSlotCount   = 20
	OffsetPID         = 24
	OffsetState       = 28
	OffsetBeat        = 32
	OffsetCan         = 40 // what not every worker can
	OffsetDrainUntil  = 64
	OffsetLeaving     = 72
	OffsetAbort       = 80
	OffsetHold        = 88
	OffsetSlot        = 96 // plus one, of a worker that was a spare
	OffsetBusyAt      = 104
	OffsetStarted     = 128
	OffsetFinished    = 192
	OffsetFinished1xx = 200 // 2xx to 5xx follow, 8 bytes each
	OffsetTimeouts    = 240
	OffsetAccepted    = 256
	OffsetOpen        = 264
	OffsetUnslotted   = 272
	OffsetLogDropped  = 280
	OffsetDuration    = 288
	OffsetOverdue     = 296 // the number of overdue slots
	OffsetFailures    = 300 // the number of failures in a row
	OffsetFailing     = 304 // since when
	OffsetSucceeded   = 312
	OffsetHistogram   = 512 // HistogramBuckets of 8 bytes each
	OffsetOverdueSlot = 1024
	OffsetSlots       = HeaderSize
)

// MaxSlots is the number of request slots on a board.
const MaxSlots = (Size - HeaderSize) / SlotSize

// MaxOverdue is the number of slots for requests that found none and are past their
// deadline. Their numbers follow those of the others.
const MaxOverdue = (HeaderSize - OffsetOverdueSlot) / SlotSize

// Offsets in bytes from the start of a request slot.
const (
	slotSequence     = 0
	slotStart        = 8
	slotProgress     = 16
	slotDeadline     = 24
	slotFlags        = 32
	slotMethodLength = 36
	slotPathLength   = 37
	slotIDLength     = 38
	slotMethod       = 40
	slotPath         = 56
	slotID           = 184
)

// The longest texts of a slot in bytes; what is longer is cut.
const (
	MaxMethod = slotPath - slotMethod
	MaxPath   = slotID - slotPath
	MaxID     = 64
)

// Flags say how far the request of a slot has got.
type Flags uint32

// The flags of a slot. A slot without InUse says nothing.
const (
	InUse     Flags = 1 << iota
	Streaming       // the response has begun
	Upgraded        // the connection speaks another protocol by now
	Ended           // the worker has answered or cut it at its deadline, but its handler goes on
)

// MaxLeaving is the number of listening sockets that fit into the leaving word.
const MaxLeaving = 64

// State is what a worker says about itself.
type State uint32

// The states of a worker. Zero is a worker that has not written its header.
const (
	Starting State = 1
	Ready    State = 2
	Draining State = 3
)

// String returns the state's name, or its number for one that does not exist: a
// board may hold anything.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Ready:
		return "ready"
	case Draining:
		return "draining"
	}
	return fmt.Sprintf("state(%d)", uint32(s))
}

// magicWord is Magic as the one 64-bit word that is stored atomically.
var magicWord = binary.LittleEndian.Uint64([]byte(Magic))

// What not every worker can: to accept nothing while it is told so, and to say when it is
// busy.
const (
	canHold = 1 << iota
	canTell
)

// littleEndian reports whether this machine stores numbers the way the layout
// asks for. Atomic access is possible in the machine's own order only.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// words is a mapped board, or nil. The accessors below are the only places that
// touch the memory: the other side writes at the same time, so every access is
// atomic, and every offset is a constant below Size.
type words []byte

func (w words) u32(offset int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&w[offset]))
}

func (w words) u64(offset int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&w[offset]))
}
