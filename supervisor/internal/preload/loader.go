//go:build linux

package preload

import (
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/output"
)

// Loader is one loader and what ties the master to it.
type Loader struct {
	id            int            `state:"id"` // of no other, ever
	number        int            `state:"revision"`
	generation    int            `state:"generation"`
	started       time.Time      `state:"started"`
	channel       *loader.Loader `state:"loader"`
	output.Output `state:",inline"`
	abort         syscall.Signal `state:"abort_signal"`
	forks         uint64         `state:"forks"` // workers that it has made

	executed     bool      `state:"-"`    // its own program runs
	says         string    `state:"says"` // what it last said about itself
	failure      string    `state:"-"`    // what was wrong before it exited; "": nothing
	failureLines []string  `state:"-"`    // its last lines when the failure was noticed
	hung         bool      `state:"-"`    // it did not answer
	complained   time.Time `state:"-"`    // when it was said last that something is wrong with a message
}

// leader is the loader as one who may leave something behind, with an id that no worker
// has.
func (l *Loader) leader() leftovers.Leader {
	return leftovers.Leader{ID: -l.id, PID: l.channel.PID, Busy: true}
}

// fields identify a loader in the log.
func (l *Loader) fields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.Int("pid", l.channel.PID), zap.Int("generation", l.generation)}, more...)
}

// age is how long the loader has lived.
func (l *Loader) age() time.Duration { return time.Since(l.started).Round(time.Millisecond) }

// ending is how the loader ended, or why it is about to.
func (l *Loader) ending(status string) *books.Ending {
	lines := l.failureLines
	if lines == nil {
		lines = l.LastLines()
	}
	switch {
	case l.failure != "" && status != "":
		status = l.failure + " (" + status + ")"
	case l.failure != "":
		status = l.failure
	}
	return &books.Ending{Status: status, Lines: lines}
}

// fault is why the loader ended, which nobody asked for.
func (l *Loader) fault(known fleet.Loader) fleet.Reason {
	switch {
	case known.ReadyAt.IsZero():
		return fleet.ReasonStartup
	case l.hung:
		return fleet.ReasonWatchdog
	}
	return fleet.ReasonCrash
}

// Pause brings what it says to a standstill: see [loader.Loader.Pause].
func (l *Loader) Pause() <-chan struct{} { return l.channel.Pause() }
