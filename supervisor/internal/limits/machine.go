//go:build linux

package limits

import (
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// readAgain is how long after the limits of the machine were read they may be read again.
const readAgain = time.Second

// machine is when its limits are read. They may change while it runs, and nobody is woken
// to look at them, but they are looked at when something else is decided or measured. That
// is done by a goroutine, since the kernel may be busy with cgroups or mounts.
type machine struct {
	next time.Time // when to read them; zero: when something is decided
	last time.Time // when that began last
	busy bool      // it goes on
}

// due is when to read them next; zero: never, as things are.
func (m *machine) due() time.Time {
	if m.busy {
		return time.Time{}
	}
	return m.next
}

// decided has the limits of the machine be read, where something follows from them.
func (l *Limits) decided(now time.Time) {
	if r := l.options.Revisions.Current; r != nil && r.Follows() {
		l.machine.next = now
		if again := l.machine.last.Add(readAgain); again.After(now) {
			l.machine.next = again
		}
	}
}

// Stale has the limits of the machine be read for somebody who has to know them and looks
// again and again, unless that was done so lately.
func (l *Limits) Stale(now time.Time, age time.Duration) {
	if m := &l.machine; !m.busy && now.Sub(m.last) >= age {
		l.follow(now)
	}
}

// follow reads the limits of the machine.
func (l *Limits) follow(now time.Time) {
	l.machine = machine{last: now, busy: true}
	go func() {
		found := config.ReadMachine(l.options.Root)
		l.options.Loop.Report(func() {
			l.machine.busy = false
			l.Move(found)
		})
	}()
}

// Move has workers held to the limits that the machine has by now, and as many be there,
// or at least as many, where that follows from them. During a reload their number stays.
func (l *Limits) Move(now config.Machine) {
	f, known := l.options.Fleet, l.options.Revisions
	for _, r := range known.All {
		if !r.Move(now, f.FloorWith(r.Settings()), l.options.Log) {
			continue
		}
		for w := range l.options.Roster.All() {
			if w.Rev == r {
				l.Weigh(w) // there may have been no limit before
			}
		}
	}
	l.Demand.Resized()
	if f.Reloading() || f.Stopping() {
		return
	}
	if r := known.Current; r.Recount(l.options.Log) {
		l.options.Step(fleet.Recount{Workers: r.Workers})
	}
}
