//go:build linux

package books

import (
	"maps"
	"math"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/history"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/tally"
)

// droppedPause is the least time between two reports of dropped lines.
const droppedPause = time.Minute

// Books are all that a master counts and remembers. They belong to one goroutine.
// The zero value is not usable; see [New].
type Books struct {
	started   time.Time           `state:"started"`
	tally     *tally.Tally        `state:"tally"`          // what all workers that ever lived did
	innocents uint64              `state:"innocents_lost"` // requests that stuck workers took along
	dropped   dropped             `state:",inline"`
	restarts  restarts            `state:",inline"`
	reloads   map[string]uint64   `state:"ended_reloads"` // how many ended so
	spawns    spawns              `state:"spawns"`
	incidents incidents.Incidents `state:"incidents"`
	history   history.History     `state:"history"`
	failed    failed              `state:"-"`
	said      map[string]bool     `state:"-"` // what is said only once
}

// dropped are the lines of the access log that are not in it.
type dropped struct {
	reported uint64    `state:"-"`           // of those that workers dropped, so many were reported
	at       time.Time `state:"-"`           // when that was
	before   uint64    `state:"access_lost"` // by access logs that are closed by now
}

// New are the books of a master that starts now.
func New(now time.Time) *Books {
	return &Books{started: now, tally: tally.New(), restarts: newRestarts(), reloads: map[string]uint64{}, said: map[string]bool{}}
}

// Resume goes on with what another version of the master has written, which may have
// had other bounds. older are incidents that it kept elsewhere.
func (b *Books) Resume(older ...incidents.Incident) {
	b.incidents.Resume(older...)
	b.spawns.fit()
	b.dropped.reported = b.tally.Total().Counters.LogDropped
}

// Started makes a worker known, whose id was never used before.
func (b *Books) Started(worker int, now time.Time) { b.tally.Join(worker, now) }

// Ready enters how long a worker took to become ready.
func (b *Books) Ready(took time.Duration) { b.spawns.add(took) }

// Read enters what the board of a living worker counts.
func (b *Books) Read(worker int, now time.Time, board tally.Reading) {
	b.tally.Add(worker, now, board)
}

// Gone enters the end of a worker, with what its board counted last; nil: it had
// none. It returns how many requests the worker took along; nil: nobody knows.
func (b *Books) Gone(worker int, now time.Time, board *tally.Reading) (lost *uint64) {
	if board == nil {
		b.tally.Forget(worker)
		return nil
	}
	return new(b.tally.Retire(worker, now, *board))
}

// LoseInnocents enters requests that were not to blame for the end of the stuck
// worker that takes them along.
func (b *Books) LoseInnocents(n int) { b.innocents += uint64(n) }

// LoseLines enters lines of the access log that one lost which is closed.
func (b *Books) LoseLines(n uint64) { b.dropped.before += n }

// DropReport returns how many lines of the access log workers dropped since it last
// said so; 0: none, or that was less than a minute ago.
func (b *Books) DropReport(now time.Time) uint64 {
	d, total := &b.dropped, b.tally.Total().Counters.LogDropped
	if !d.at.IsZero() && now.Sub(d.at) < droppedPause {
		return 0
	}
	more := total - d.reported
	if more > 0 {
		d.reported, d.at = total, now
	}
	return more
}

// Once says whether something is to be said that is said only once, which it is then.
func (b *Books) Once(what string) bool {
	if b.said[what] {
		return false
	}
	b.said[what] = true
	return true
}

// ReloadEnded enters the end of a reload under the name of its result.
func (b *Books) ReloadEnded(result string) { b.reloads[result]++ }

// Reloads are how many reloads have ended, by result.
func (b *Books) Reloads() map[string]uint64 { return maps.Clone(b.reloads) }

// Uptime is how long the master has run, all its versions together.
func (b *Books) Uptime(now time.Time) time.Duration { return now.Sub(b.started) }

// Counters are those of a status. accessLost are the lines that the access log in
// use has lost. What only boards tell is nil until one was read.
func (b *Books) Counters(accessLost uint64) control.Counters {
	c := control.Counters{Restarts: maps.Clone(b.restarts.by), RecycleReasons: maps.Clone(b.restarts.own), LoaderRestarts: map[control.Reason]uint64{}}
	for _, r := range control.LoaderReasons() {
		c.LoaderRestarts[r] = b.restarts.loads[r]
	}
	if b.tally.Heard() {
		total := b.tally.Total().Counters
		c.Requests, c.Timeouts, c.RequestsLost, c.InnocentsLost = new(total.Finished), new(total.Timeouts), new(b.tally.Lost()), new(b.innocents)
		c.Connections, c.RequestsUnslotted = new(total.Accepted), new(total.Unslotted)
		c.AccessLinesDropped = new(total.LogDropped + b.dropped.before + accessLost)
	}
	return c
}

// Observe enters how many workers are ready, how many requests are in flight and how much
// memory the fleet takes (0: that is not known), for the picture of the last hour. The
// totals are up to date.
func (b *Books) Observe(now time.Time, ready, inFlight, memory uint64) {
	total := b.tally.Total()
	b.history.Note(now, history.Seen{
		Workers: ready, Known: b.tally.Heard(), InFlight: inFlight, Finished: total.Counters.Finished, Histogram: total.Histogram, Memory: memory,
	})
}

// History is the picture of the last hour.
func (b *Books) History(now time.Time) control.History {
	all := control.History{StepSeconds: history.Step.Seconds(), Points: []control.Point{}}
	for _, p := range b.history.Points(now) {
		one := control.Point{AgoSeconds: control.Seconds(now.Sub(p.At)), Workers: p.Workers}
		if p.Known {
			one.InFlight, one.RequestsPerSecond = new(p.InFlight), new(math.Round(p.Rate*1000)/1000)
		}
		if p.P99 > 0 {
			one.P50Seconds, one.P90Seconds, one.P99Seconds = new(p.P50.Seconds()), new(p.P90.Seconds()), new(p.P99.Seconds())
		}
		if p.Memory > 0 {
			one.MemoryBytes = new(p.Memory)
		}
		all.Points = append(all.Points, one)
	}
	return all
}
