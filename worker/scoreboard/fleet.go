package scoreboard

import "os"

// placeSize is one cache line, so that workers do not disturb each other.
const placeSize = 64

// fleetPage is what the memory of a fleet is a multiple of.
const fleetPage = 4096

// Offsets in bytes from the start of a place.
const (
	OffsetPlaceBusy     = 0
	OffsetPlaceCapacity = 8
	OffsetPlaceBeat     = 16
	OffsetPlaceID       = 24
	OffsetPlaceOpen     = 32
)

// A Fleet is the advisory memory in which workers tell each other how busy they
// are; the package comment has the layout. All workers can write all of it, so
// nothing that is read here may decide more than who waits for a moment. The
// methods may be called by any goroutine, but not at the same time as Close.
type Fleet struct {
	file *os.File // the master's, nil in a worker
	data words    // nil once closed
}

// An Occupant is what the worker in one place says.
type Occupant struct {
	ID       uint64 // the worker's id, 0 if nobody accepts connections there
	Busy     uint64 // requests that handlers are at work on, and connections that have not sent one yet
	Open     uint64 // open connections
	Capacity uint64 // Busy at which the worker stops accepting, 0 if it never does
	Beat     uint64 // changes with everything that the worker does
}

// File returns the descriptor to be inherited by the workers, nil for a Fleet that
// a worker opened. It is close-on-exec and belongs to the Fleet.
func (f *Fleet) File() *os.File { return f.file }

// Places returns the number of places.
func (f *Fleet) Places() int { return len(f.data) / placeSize }

// Occupant reads a place, which must be less than Places.
func (f *Fleet) Occupant(place int) Occupant {
	at := place * placeSize
	o := Occupant{ID: f.data.u64(at + OffsetPlaceID).Load()}
	if o.ID == 0 {
		return Occupant{}
	}
	o.Busy = f.data.u64(at + OffsetPlaceBusy).Load()
	o.Open = f.data.u64(at + OffsetPlaceOpen).Load()
	o.Capacity = f.data.u64(at + OffsetPlaceCapacity).Load()
	o.Beat = f.data.u64(at + OffsetPlaceBeat).Load()
	return o
}

// Busy reads no more of a place than how busy its worker is; false if there is none.
func (f *Fleet) Busy(place int) (uint64, bool) {
	at := place * placeSize
	if f.data.u64(at+OffsetPlaceID).Load() == 0 {
		return 0, false
	}
	return f.data.u64(at + OffsetPlaceBusy).Load(), true
}

// Clear empties a place whose worker is gone, so that nobody waits for it. A place
// that does not exist is none of its business.
func (f *Fleet) Clear(place int) {
	if p := f.Place(place); p != nil {
		p.Leave()
	}
}

// Place returns a place to be written, nil if the memory has no such place.
func (f *Fleet) Place(place int) *Place {
	if place < 0 || place >= f.Places() {
		return nil
	}
	return &Place{data: f.data[place*placeSize:][:placeSize:placeSize]}
}

// A Place is where one worker writes. All methods may be called by any goroutine,
// and none of them allocates or waits.
type Place struct {
	data words
}

// Enter says that the worker of this id accepts connections, up to a capacity or,
// with 0, without one. Busy and Open are to be set before, since a predecessor may
// have left something.
func (p *Place) Enter(id, capacity uint64) {
	p.data.u64(OffsetPlaceCapacity).Store(capacity)
	p.data.u64(OffsetPlaceID).Store(id)
}

// Leave says that nobody in this place accepts connections.
func (p *Place) Leave() { p.data.u64(OffsetPlaceID).Store(0) }

// SetBusy tells the requests that handlers are at work on and the connections that have
// sent none yet.
func (p *Place) SetBusy(n uint64) {
	p.data.u64(OffsetPlaceBusy).Store(n)
	p.data.u64(OffsetPlaceBeat).Add(1)
}

// SetOpen tells the open connections.
func (p *Place) SetOpen(n uint64) { p.data.u64(OffsetPlaceOpen).Store(n) }
