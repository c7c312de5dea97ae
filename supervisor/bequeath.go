//go:build linux

package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// pauseTime is what the goroutines that copy what workers write get to come to
// a point where nothing is in their hands. They need it only where a reader of
// the log or the access log is slow.
const pauseTime = 500 * time.Millisecond

// pause brings all other goroutines to a standstill in which nothing is lost
// when they end. What workers say meanwhile is returned, to be heard later.
// After an error it is to be undone by resume all the same.
func (s *Supervisor) pause() (said []message, err error) {
	for _, w := range s.workers {
		w.held.Release(settleTime)
	}
	for _, w := range s.workers {
		if w.endpoint == nil {
			continue
		}
		for paused, over := w.endpoint.Pause(), false; !over; {
			select {
			case m := <-s.messages: // it waits for nobody but this loop
				said = append(said, m)
			case <-paused:
				over = true
			}
		}
	}
	// All are asked before the first is waited for.
	waits := map[string][]<-chan struct{}{}
	for _, t := range s.tails() {
		waits["stderr"] = append(waits["stderr"], t.Pause())
	}
	if s.access != nil {
		waits["the access log"] = append(waits["the access log"], s.access.Pause())
	}
	limit := time.After(pauseTime)
	for what, all := range waits {
		for _, paused := range all {
			select {
			case <-paused:
			case <-limit:
				return said, fmt.Errorf("whoever reads %s is too slow", what)
			}
		}
	}
	return said, nil
}

// resume undoes pause.
func (s *Supervisor) resume() {
	for _, w := range s.workers {
		if w.endpoint != nil {
			w.serve(s)
		}
	}
	for _, t := range s.tails() {
		t.Resume()
	}
	if s.access != nil {
		s.access.Resume()
	}
}

// tails are those of the workers, and of processes that dead ones left behind.
func (s *Supervisor) tails() []*process.Tail {
	s.strays = slices.DeleteFunc(s.strays, (*process.Tail).Ended)
	all := slices.Clone(s.strays)
	for _, w := range s.workers {
		all = append(all, w.tails()...)
	}
	return all
}

// pendingSignals are those that nobody has handled yet.
func (s *Supervisor) pendingSignals() (pending []syscall.Signal) {
	for {
		select {
		case sig := <-s.signals:
			if sig, ok := sig.(syscall.Signal); ok && sig != syscall.SIGCHLD { // all are reaped anyway
				pending = append(pending, sig)
			}
		default:
			return pending
		}
	}
}

// bequeath is the whole state of the master, which is paused.
func (s *Supervisor) bequeath(said []message) estate {
	epoch := scoreboard.Epoch()
	e := newEstate()
	e.Version, e.Program = s.options.Version, s.options.Program
	e.Fleet, e.Tally = s.fleet, s.tally.Snapshot(epoch)
	e.Current, e.Last = s.current.number, s.last
	e.Boardless, e.InnocentsLost, e.Started, e.Up = s.boardless, s.innocentsLost, s.started, s.up
	e.NoHangup, e.Guests, e.Shared = s.terminal.Forgives(), s.leftovers.guests, s.leftovers.shared
	e.Restarts, e.SlotRestarts = s.restarts.by, s.restarts.slots
	e.LastReload, e.NewestReload, e.EndedReloads = s.reloads.last, s.reloads.newest, s.reloads.ended
	e.Spawns = estateSpawns{spawnBounds, s.spawns.counts, s.spawns.sum}
	e.Incidents = s.incidents
	e.OOMKills, e.Slimmed = s.oom.Kills, map[int]time.Time{}
	for slot, t := range s.slimmed {
		e.Slimmed[slot] = t
	}

	var sets []*socket.Set
	index := func(set *socket.Set) int {
		if set == nil {
			return -1
		}
		sets = append(sets, set)
		return len(sets) - 1
	}
	for _, n := range slices.Sorted(maps.Keys(s.revisions)) {
		r := s.revisions[n]
		e.Revisions = append(e.Revisions, estateRevision{
			Number: r.number, Config: r.config, Dir: r.resolved.Dir, Path: r.resolved.Path, Executable: r.executable,
			Workers: r.workers, Auto: r.auto, Credential: r.credential, Identity: r.identity,
			Set: index(r.sockets), TLS: r.tls, Plain: r.plain, Admin: index(r.admin), Tight: r.tight, TooLow: r.tooLow, Hard: &r.memory.Hard,
		})
	}
	e.Activated, e.Stored = index(s.activated), index(s.kept)
	if c := s.controls.controlSocket; c != nil {
		e.Control = &estateControl{c.place.socket, c.place.name, c.address, index(c.sockets), c.spare}
	}
	for _, l := range s.leaving {
		e.LeavingSets = append(e.LeavingSets, estateLeaving{index(l.sockets), l.since, l.look})
	}
	e.Sockets = socket.Snap(sets...)

	for _, id := range slices.Sorted(maps.Keys(s.workers)) {
		w := s.workers[id]
		e.Workers = append(e.Workers, w.bequeath())
		if w.stdout != nil {
			e.Strays = append(e.Strays, estateStray{TailSnapshot: w.stdout.Snapshot(), Worker: id})
		}
	}
	for _, t := range s.strays {
		e.Strays = append(e.Strays, estateStray{TailSnapshot: t.Snapshot()})
	}
	if s.access != nil {
		snapshot := s.access.Snapshot()
		e.Access = &snapshot
	}
	if s.busy != nil {
		e.Busy = int(s.busy.File().Fd())
	}
	if s.pidfile != nil {
		e.Pidfile = &estatePidfile{s.pidfile.Fd(), s.pidfile.Path()}
	}
	for _, m := range said {
		e.Messages = append(e.Messages, estateMessage{m.id, m.Message})
	}
	return e
}

// bequeath is what the master knows and holds of a worker.
func (w *worker) bequeath() estateWorker {
	e := estateWorker{
		ID: w.ID, PID: w.pid, Revision: w.revision.number, Board: -1, Limit: w.limit,
		Look: w.watch.look, Beats: w.watch.beats, Beat: w.watch.beat, BeatAt: w.watch.beatAt,
		Announced: w.announced, Cooperates: w.cooperates, Newer: w.newer,
		Why: w.why, Until: w.until, Failure: w.failure, Words: w.words, Says: w.says, Slain: w.slain,
	}
	if w.endpoint != nil {
		snapshot := w.endpoint.Snapshot()
		e.Endpoint = &snapshot
	}
	if w.memory != nil {
		e.Board = int(w.memory.File().Fd())
	}
	if w.tail != nil {
		snapshot := w.tail.Snapshot()
		e.Tail = &snapshot
	}
	return e
}

// serve has the worker's endpoint deliver to the loop.
func (w *worker) serve(s *Supervisor) {
	id := w.ID
	w.endpoint.Serve(w.pid, func(m notify.Message) { w.post(s, message{id: id, Message: m}) })
}
