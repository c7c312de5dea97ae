//go:build linux

// Package overlap measures for how many processes there is memory beyond those that live, and
// tells the brain: whether a worker and its replacement fit side by side, or a spare beside
// them, and whether a loader and that of a reload do.
//
// What is left of the memory limit is compared with what one process takes. It is measured
// when the brain asks, and by a goroutine, since the kernel takes its time to count.
package overlap

import (
	"io/fs"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// Options are what a meter needs. All fields are required.
type Options struct {
	Log       *zap.Logger
	Loop      *loop.Loop // by which the owner hears what was measured
	Fleet     *fleet.Fleet
	Roster    *roster.Roster
	Loaders   *preload.Loaders
	Revisions *revision.Known
	Scales    *scales.Scales
	// Root is the file system of the machine, which has the limits of our cgroup.
	Root fs.FS
	// Note keeps an event for the next step of the brain, and Step has it take one.
	Note func(fleet.Event)
	Step func(...fleet.Event)
}

// Meter measures. It belongs to one goroutine, and is of use after [Meter.Attach].
type Meter struct {
	options Options
	last    measure
	free    time.Time // when no limit was known last; zero: there was one
	busy    bool      // it measures
	again   bool      // it was asked since that began
}

// Attach says what the meter works with.
func (m *Meter) Attach(o Options) { m.options = o }

// unlimited is for how long it is taken for granted that there is no limit.
const unlimited = time.Second

// Measure answers a [fleet.Weigh], as soon as the processes are weighed or, where there was no
// limit a moment ago, at once.
func (m *Meter) Measure() {
	if m.again = m.busy; m.busy {
		return
	}
	now := time.Now()
	if now.Sub(m.free) < unlimited {
		m.options.Note(fleet.Memory{Room: fleet.Unbounded})
		return
	}
	m.busy = true
	c := m.crew()
	go func() {
		found, limited := c.measure(m.options.Root, m.options.Scales.Takes)
		m.options.Loop.Report(func() {
			m.busy = false
			if m.again { // others may have been started meanwhile
				m.Measure()
				return
			}
			if m.last, m.free = found, now; limited {
				m.free = time.Time{}
			}
			m.options.Step(fleet.Memory{Room: found.room})
		})
	}()
}

// crew is who lives while it is measured.
type crew struct {
	all      []scales.Worker
	ready    []bool
	starting []bool
	each     config.Size // what a process is said to take; 0: nothing is said
}

// crew is who lives now, workers and then loaders.
func (m *Meter) crew() (c crew) {
	c.each = m.options.Revisions.Current.Config.WorkerMemory
	for known := range m.options.Fleet.Workers() {
		one := scales.Worker{ID: known.ID}
		// One that is started in the same step is known to the brain alone yet.
		if w := m.options.Roster.Of(known.ID); w != nil && !w.Gone {
			one.PID = w.PID
		}
		c.all = append(c.all, one)
		c.ready, c.starting = append(c.ready, known.State == fleet.Ready), append(c.starting, known.State == fleet.Starting)
	}
	for _, one := range m.options.Loaders.Leaders() {
		c.all = append(c.all, scales.Worker{ID: scales.LoaderID(&one.PID), PID: one.PID})
	}
	return c
}

// measure is what was found out.
type measure struct {
	headroom config.Headroom
	each     config.Size // what one process takes; 0: that is not known
	room     int         // for how many more there is memory
}

// measure finds out for how many processes there is memory beside these, which take so much;
// limited says that there is a limit. One that is starting has yet to take what it does not
// take already.
func (c *crew) measure(machine fs.FS, takes func([]scales.Worker) []uint64) (found measure, limited bool) {
	h, limited := config.HeadroomOf(machine)
	if !limited {
		return measure{room: fleet.Unbounded}, false
	}
	found = measure{headroom: h, each: c.each, room: fleet.Unbounded}
	all := takes(c.all)
	if found.each == 0 {
		found.each = c.median(all)
	}
	if found.each == 0 {
		return found, true
	}
	left := h.Left
	for i := range c.starting {
		if c.starting[i] {
			left -= max(found.each-config.Size(all[i]), 0)
		}
	}
	found.room = int(min(max(left, 0)/found.each, fleet.Unbounded))
	return found, true
}

// median is what the ready workers take of whom that is known.
func (c *crew) median(takes []uint64) config.Size {
	var all []uint64
	for i, ready := range c.ready {
		if ready && takes[i] > 0 {
			all = append(all, takes[i])
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return config.Size(all[len(all)/2])
}

// Warn writes the line that says that there is less overlap than surge and spares allow.
func (m *Meter) Warn() {
	m.options.Log.Warn("overlap reduced: memory has no room for another process, so a worker stops before its replacement starts, and no spare starts",
		zap.Stringer("left", inMiB(m.last.headroom.Left)), zap.Stringer("each", inMiB(m.last.each)),
		zap.Stringer("memory_limit", m.last.headroom.Limit), zap.String("cgroup", m.last.headroom.At))
}

// inMiB rounds a size for people.
func inMiB(s config.Size) config.Size { return (s + config.MiB/2) / config.MiB * config.MiB }

// Status is why there is less overlap than surge and spares allow; nil: there is not.
func (m *Meter) Status() *control.Overlap {
	if !m.options.Fleet.OverlapReduced() {
		return nil
	}
	o := &control.Overlap{LimitBytes: uint64(m.last.headroom.Limit), LeftBytes: uint64(m.last.headroom.Left), ProcessBytes: uint64(m.last.each)}
	o.Explain()
	return o
}
