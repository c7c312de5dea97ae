//go:build linux

package supervisor

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/pidfile"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/tally"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// inherit makes this master the one that has left the inheritance. There is no
// way back, so what cannot be restored is done without as far as possible.
func (s *Supervisor) inherit(i *Inheritance) error {
	if err := i.accept(); err != nil {
		return err
	}
	e := &i.state
	if early := handover.Early(); early != nil {
		s.signals = early
	}
	s.deafen = s.hands.listen(s.signals)
	if e.NoHangup {
		s.terminal.Forgive()
	}
	s.leftovers.guests, s.leftovers.shared = e.Guests, e.Shared
	s.fleet, s.tally = e.Fleet, tally.Restore(e.Tally, scoreboard.Epoch())
	s.last, s.boardless, s.innocentsLost, s.started, s.up = e.Last, e.Boardless, e.InnocentsLost, e.Started, e.Up
	s.dropped.said = s.tally.Total().Counters.LogDropped
	for reason, n := range e.Restarts {
		s.restarts.by[reason] = n
	}
	for slot, n := range e.SlotRestarts {
		s.restarts.slots[slot] = n
	}
	if e.LastReload.Result != "" {
		s.reloads.last, s.reloads.newest = e.LastReload, e.NewestReload
	}
	maps.Copy(s.reloads.ended, e.EndedReloads)
	s.spawns.inherit(e.Spawns)
	s.oom.Kills = e.OOMKills
	for slot, d := range e.Slimmed {
		s.slimmed[slot] = d
	}
	for _, r := range e.Revisions {
		s.revisions[r.Number] = &revision{
			number: r.Number, config: r.Config, resolved: config.Resolved{Dir: r.Dir, Path: r.Path}, executable: r.Executable,
			workers: r.Workers, auto: r.Auto, credential: r.Credential, identity: r.Identity,
			sockets: i.set(r.Set), tls: r.TLS, plain: r.Plain, admin: i.set(r.Admin), tight: r.Tight, tooLow: r.TooLow,
		}
		s.revisions[r.Number].memory.Hard = r.hard()
	}
	s.current = s.revisions[e.Current]
	s.activated, s.kept = i.set(e.Activated), i.set(e.Stored)
	for _, l := range e.leaving() {
		s.leaving = append(s.leaving, &leaving{sockets: i.set(l.Set), since: l.Since, look: l.Look})
	}
	for _, w := range e.Words {
		s.incidents.Add(books.Incident{Worker: w.ID, Status: w.Status, Lines: w.Lines})
	}
	for _, i := range e.Incidents.All {
		s.incidents.Add(i)
	}
	if e.Pidfile != nil {
		s.pidfile = pidfile.Restore(e.Pidfile.Fd, e.Pidfile.Path)
	}
	s.upgrades.last = control.Upgrade{Result: control.OK, From: e.Version, To: s.options.Version}
	s.inheritControl(i)
	s.inheritLogs(e)
	s.inheritWorkers(e)
	s.inheritStrays(e)
	return nil
}

// inheritControl goes on with the control socket, which is one of the
// conveniences.
func (s *Supervisor) inheritControl(i *Inheritance) {
	e := i.state.Control
	if err := s.newControlServer(); err != nil || e == nil {
		return
	}
	c := &controlSocket{place: place{e.Socket, e.Name}, address: e.Address, sockets: i.set(e.Set), spare: e.Fd}
	if err := c.reopen(); err != nil {
		s.log.Error("cannot go on with the control socket", zap.Error(err))
		return
	}
	s.controls.controlSocket = c
}

// inherit takes counts over, into buckets that may be others by now.
func (s *spawns) inherit(e estateSpawns) {
	if len(e.Counts) == 0 {
		return
	}
	s.counts, s.sum = make([]uint64, len(spawnBounds)+1), e.Sum
	for i, n := range e.Counts {
		bucket := len(spawnBounds)
		if i < len(e.Bounds) {
			bucket, _ = slices.BinarySearch(spawnBounds, e.Bounds[i])
		}
		s.counts[bucket] += n
	}
}

// inheritLogs goes on with what is written for the workers.
func (s *Supervisor) inheritLogs(e *estate) {
	if e.Access != nil {
		var err error
		if s.access, err = accesslog.Restore(*e.Access, s.accessTrouble); err != nil {
			s.log.Error("cannot go on with the access log", zap.Error(err))
			s.access = nil
		}
	}
}

// inheritStrays goes on with the pipes that are not a worker's first. Workers come
// before them.
func (s *Supervisor) inheritStrays(e *estate) {
	for _, t := range e.Strays {
		stream := cmp.Or(t.Stream, Stderr)
		if w := s.workers[t.Worker]; w != nil && w.tail != nil && w.stdout == nil {
			stdout, err := w.tail.RestoreBeside(t.TailSnapshot, s.options.Streams.Worker(w.ID, stream))
			if err == nil {
				w.stdout = stdout
			}
			continue
		}
		if tail, err := process.RestoreTail(t.TailSnapshot, s.options.Streams.Worker(0, stream)); err == nil {
			s.strays = append(s.strays, tail)
		}
	}
}

// inheritWorkers goes on with the workers.
func (s *Supervisor) inheritWorkers(e *estate) {
	if e.Busy >= 0 {
		var err error
		if s.busy, err = scoreboard.AdoptFleet(e.Busy); err != nil {
			s.busy = nil // spreading is left to chance
			unix.Close(e.Busy)
		}
	}
	alive := map[int]fleet.Worker{}
	for f := range s.fleet.Workers() {
		alive[f.ID] = f
	}
	for _, one := range e.Workers {
		f, ok := alive[one.ID]
		if !ok {
			continue
		}
		w, err := s.inheritWorker(f, one)
		if err != nil {
			s.log.Error("cannot go on with all that a worker says", w.fields(zap.Error(err))...)
		}
		s.workers[w.ID] = w
		s.pids[w.pid] = w
	}
}

func (s *Supervisor) inheritWorker(f fleet.Worker, e estateWorker) (w *worker, err error) {
	w = &worker{
		Worker: f, pid: e.PID, revision: s.revisions[f.Revision], limit: e.Limit, executed: true,
		signs: time.Now(), announced: e.Announced, cooperates: e.Cooperates, newer: e.Newer,
		why: e.Why, until: e.Until, failure: e.Failure, words: e.Words, says: e.Says, slain: e.Slain,
		watch: watch{
			look: e.Look, beats: e.Beats, beat: e.Beat, beatAt: e.BeatAt,
		},
	}
	if e.Board >= 0 {
		var failed error
		if w.memory, failed = scoreboard.Adopt(e.Board); failed != nil {
			w.memory = nil
			unix.Close(e.Board)
			err = errors.Join(err, failed)
		}
	}
	if e.Tail != nil {
		var failed error
		w.tail, failed = process.RestoreTail(*e.Tail, s.options.Streams.Worker(f.ID, cmp.Or(e.Tail.Stream, Stderr)))
		err = errors.Join(err, failed)
	}
	if e.Endpoint != nil {
		var failed error
		if w.endpoint, failed = notify.Restore(*e.Endpoint); failed == nil {
			w.serve(s)
		}
		err = errors.Join(err, failed)
	}
	return w, err
}

// greetAgain says what goes on. Workers that only finish what they have are not
// counted with those that there are to be.
func (s *Supervisor) greetAgain(i *Inheritance) {
	fields := []zap.Field{
		zap.String("from", i.state.Version), zap.String("version", s.options.Version),
		zap.Int("pid", os.Getpid()), zap.Strings("bind", s.current.sockets.URLs()), zap.Int("workers", s.fleet.Target()),
	}
	draining := 0
	for w := range s.fleet.Workers() {
		if w.State == fleet.Draining || w.State == fleet.Stopping {
			draining++
		}
	}
	if draining > 0 {
		fields = append(fields, zap.Int("draining", draining))
	}
	s.log.Info("upgraded", fields...)
}

// begin has the brain take its first step. After an upgrade it first hears what
// happened in the gap.
func (s *Supervisor) begin() {
	i := s.options.Inheritance
	if i == nil {
		s.step(fleet.Tick{})
		return
	}
	s.greetAgain(i)
	for _, r := range s.revisions {
		s.openAdmin(r) // all were in force once
	}
	s.openAdmin(s.current) // whose rights count where they share an address
	for _, w := range s.workers {
		s.weigh(w)
	}
	if err := s.follow(s.current.config); err != nil {
		s.log.Error("cannot watch files", describe(err)...)
	}
	for _, m := range i.state.Messages {
		s.hear(message{id: m.ID, Message: m.Message})
	}
	s.step()
	s.tick()
	for _, sig := range i.signals {
		s.handle(sig)
	}
}
