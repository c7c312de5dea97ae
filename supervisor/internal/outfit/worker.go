//go:build linux

package outfit

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/terminal"
	"github.com/gosuper/gosuper/worker/protocol"
)

// Worker is what the outfit of a worker is made of. Of descriptors -1 is none.
type Worker struct {
	Config     *config.Config
	Environ    []string // of the master
	Identity   []string // HOME, USER and LOGNAME of whom it runs as
	ID         int
	Slot       int // negative: it is a spare, and has none yet
	Place      int
	Generation int
	Limit      int               // its own max_requests; 0: none
	Lease      map[string]string // by resource

	Stdout, Stderr int
	Listeners      []int    // of its slot
	Names          []string // of those

	NotifyAddress string // "": none
	Notify        int
	Board         int // its scoreboard
	Fleet         int // the page on which workers tell each other how busy they are
	Access        int // the access log
	TLS           int // certificate and key
	Front         int // what fronts know each other by
}

// Fill puts the outfit together. One that a loader makes has the rest of its environment
// from there.
func (w *Worker) Fill(o *Outfit) {
	c := w.Config
	is := config.Worker{Slot: w.Slot, Place: w.Place, ID: w.ID, Lease: w.Lease}
	if c.Preload {
		o.Env = c.ForkedEnviron(is)
	} else {
		o.Env = promptly(c.Environ(w.Environ, w.Identity, is))
		o.set(protocol.EnvListenPID, "") // filled in by the process itself
	}
	o.Files = append([]int{process.Null, w.Stdout, w.Stderr}, w.Listeners...)
	o.number(protocol.EnvListenFDs, int64(len(w.Listeners)))
	o.set(protocol.EnvListenFDNames, strings.Join(w.Names, ":"))
	if w.NotifyAddress != "" {
		o.set(protocol.EnvNotifySocket, w.NotifyAddress)
	}
	o.hand(protocol.EnvNotifyFD, w.Notify)
	o.hand(protocol.EnvScoreboardFD, w.Board)
	o.hand(protocol.EnvFleetFD, w.Fleet)
	if w.Access >= 0 {
		o.hand(protocol.EnvAccessFD, w.Access)
		o.set(protocol.EnvAccessFormat, c.Log.AccessFormat)
	}
	o.hand(protocol.EnvTLSFD, w.TLS)
	o.hand(protocol.EnvFrontFD, w.Front)
	o.set(protocol.EnvStopSignal, c.StopSignal.Name)
	if w.Slot >= 0 {
		o.number(protocol.EnvSlot, int64(w.Slot))
	}
	for name, value := range map[string]int{
		protocol.EnvPlace: w.Place, protocol.EnvWorkerID: w.ID,
		protocol.EnvGeneration: w.Generation, protocol.EnvLimitRequests: w.Limit,
	} {
		o.number(name, int64(value))
	}
	for name, value := range w.Lease {
		o.set(config.ResourceVariable(name), value)
	}
	for name, value := range limits(c) {
		o.number(name, value)
	}
	if d := c.Watchdog; d > 0 {
		o.number(protocol.EnvWatchdog, d.Microseconds())
	}
}

// limits are those that a cooperating worker applies itself.
func limits(c *config.Config) map[string]int64 {
	return map[string]int64{
		protocol.EnvLimitKeepAlive:      milliseconds(c.KeepAlive),
		protocol.EnvLimitTimeout:        milliseconds(c.Timeout),
		protocol.EnvLimitStreamTimeout:  milliseconds(c.StreamTimeout.Duration),
		protocol.EnvLimitUpgradeTimeout: milliseconds(c.UpgradeTimeout),
		protocol.EnvLimitRequestTimeout: milliseconds(c.RequestTimeout),
		protocol.EnvLimitBacklogTimeout: milliseconds(c.BacklogTimeout),
		protocol.EnvLimitConnections:    int64(c.WorkerConnections),
		protocol.EnvLimitFailures:       int64(c.MaxFailures),
	}
}

// milliseconds rounds up: what is short is not 0, which is no limit.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// Loader is what the outfit of a loader is made of.
type Loader struct {
	Config         *config.Config
	Environ        []string // of the master
	Identity       []string // HOME, USER and LOGNAME of whom it runs as
	Generation     int
	Stdout, Stderr int
	Channel        int // on which it is asked for workers
}

// Fill puts the outfit together.
func (l *Loader) Fill(o *Outfit) {
	o.Env = promptly(l.Config.LoaderEnviron(l.Environ, l.Identity))
	o.Files = []int{process.Null, l.Stdout, l.Stderr}
	o.set(protocol.EnvListenPID, "") // filled in by the process itself
	o.set(protocol.EnvGeneration, strconv.Itoa(l.Generation))
	o.hand(protocol.EnvLoaderFD, l.Channel)
}

// unbuffered is the variable that has Python write what it prints at once. It does
// that by itself on a terminal alone, and workers have a pipe.
const unbuffered = "PYTHONUNBUFFERED"

// promptly adds to a worker's environment what has its prints appear at once where
// somebody watches. Elsewhere, and where it is set, all is as it would be without
// the master: whole blocks cost a busy worker less.
func promptly(env []string) []string {
	set := slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, unbuffered+"=") })
	if set || !terminal.Is(unix.Stdout) {
		return env
	}
	return append(env, unbuffered+"=1")
}
