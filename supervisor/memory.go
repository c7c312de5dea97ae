//go:build linux

package supervisor

import (
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// places is for how many workers there is room on the page that says how busy
// they are. Those beyond it share the load as the kernel pleases.
const places = 1024

// sharedMemory is the memory that the master shares with workers: a board for each, and a
// page on which they tell each other how busy each place is.
type sharedMemory struct {
	busy *scoreboard.Fleet `state:"-"`         // the page; nil: there is none, and how the load is spread is left to chance
	page int               `state:"busy,fd"`   // of busy, while the state is written and read
	none bool              `state:"boardless"` // it was said that there is no shared memory here
}

// open makes the page.
func (b *sharedMemory) open() {
	if busy, err := scoreboard.CreateFleet(places); err == nil {
		b.busy = busy
	}
}

// pageFd is the descriptor of the page; -1: there is none.
func (b *sharedMemory) pageFd() int {
	if b.busy == nil {
		return -1
	}
	return int(b.busy.File().Fd())
}

// save readies it for being written.
func (b *sharedMemory) save() { b.page = b.pageFd() }

// clear has nobody be busy at a place, which is free.
func (b *sharedMemory) clear(place int) {
	if b.busy != nil {
		b.busy.Clear(place)
	}
}

// create makes a board for a worker. It returns nil, and says so once, if workers
// cannot report by shared memory.
func (b *sharedMemory) create(log *zap.Logger) *scoreboard.Memory {
	m, err := scoreboard.Create()
	if err == nil {
		return m
	}
	if !b.none {
		b.none = true
		log.Warn("no shared memory: all workers are plain ones", zap.Error(err))
	}
	return nil
}
