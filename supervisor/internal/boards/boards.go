//go:build linux

// Package boards is the memory that a master shares with its workers: a board for each,
// on which it reports (package scoreboard), and a page on which they tell each other how
// busy each place is.
package boards

import (
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// places is for how many workers there is room on the page. Those beyond it share the
// load as the kernel pleases.
const places = 1024

// Boards are those of one master. The zero value makes boards, and has no page.
type Boards struct {
	// Page is the descriptor of the page while the state is written and read; -1: there
	// is none.
	Page int `state:"busy,fd"`

	busy *scoreboard.Fleet `state:"-"`         // the page; nil: there is none, and how the load is spread is left to chance
	none bool              `state:"boardless"` // it was said that there is no shared memory here
}

// Open makes the page.
func (b *Boards) Open() {
	if busy, err := scoreboard.CreateFleet(places); err == nil {
		b.busy = busy
	}
}

// Reopen goes on with the page that was read, or without.
func (b *Boards) Reopen(log *zap.Logger) { b.busy = adopt(b.Page, scoreboard.AdoptFleet, log) }

// PageFD is the descriptor of the page; -1: there is none.
func (b *Boards) PageFD() int {
	if b.busy == nil {
		return -1
	}
	return int(b.busy.File().Fd())
}

// Save readies it for being written.
func (b *Boards) Save() { b.Page = b.PageFD() }

// Clear has nobody be busy at a place, which is free.
func (b *Boards) Clear(place int) {
	if b.busy != nil {
		b.busy.Clear(place)
	}
}

// Create makes a board for a worker. It returns nil, and says so once, if workers
// cannot report by shared memory.
func (b *Boards) Create(log *zap.Logger) *scoreboard.Memory {
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

// Adopt goes on with a board that another image of this process has made; nil: there was
// none, or that cannot be.
func Adopt(fd int, log *zap.Logger) *scoreboard.Memory { return adopt(fd, scoreboard.Adopt, log) }

func adopt[M any](fd int, memory func(fd int) (*M, error), log *zap.Logger) *M {
	if fd < 0 {
		return nil
	}
	m, err := memory(fd)
	if err != nil {
		log.Error("cannot go on with shared memory", zap.Error(err))
		unix.Close(fd)
		return nil
	}
	return m
}
