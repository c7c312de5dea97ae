//go:build linux

package supervisor

import (
	"errors"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
)

// pauseTime is what the goroutines that copy what workers write get to come to
// a point where nothing is in their hands. They need it only where a reader of
// the log or the access log is slow.
const pauseTime = 500 * time.Millisecond

// pause brings all other goroutines to a standstill in which nothing is lost
// when they end, but for output of workers that nobody takes. What is said meanwhile is
// returned, to be heard later. After an error it is to be undone by resume all the same.
func (s *Supervisor) pause() (said []signs.Message, err error) {
	var speakers, tails []<-chan struct{} // all are asked before the first is waited for
	for w := range s.roster.All() {
		w.Held().Release(roster.PassTime)
		if w.Endpoint != nil {
			speakers = append(speakers, w.Endpoint.Pause())
		}
	}
	for _, l := range s.loaders.All() {
		speakers = append(speakers, l.Pause())
	}
	for _, t := range s.tails() {
		tails = append(tails, t.Pause())
	}
	for len(speakers) > 0 { // they wait for nobody but this loop
		select {
		case m := <-s.signs.C:
			said = append(said, m)
		case <-speakers[0]:
			speakers = speakers[1:]
		}
	}
	limit := time.After(pauseTime)
	if access := s.files.Access(); access != nil {
		select {
		case <-access.Pause():
		case <-limit:
			return said, errors.New("whoever reads the access log is too slow")
		}
	}
	for _, paused := range tails {
		select {
		case <-paused:
		case <-limit:
			return said, nil // what is under way then is counted by save
		}
	}
	return said, nil
}

// resume undoes pause.
func (s *Supervisor) resume() {
	for w := range s.roster.All() {
		if w.Endpoint != nil {
			s.signs.Serve(w)
		}
	}
	for _, l := range s.loaders.All() {
		s.loaders.Resume(l)
	}
	for _, t := range s.tails() {
		t.Resume()
	}
	if access := s.files.Access(); access != nil {
		access.Resume()
	}
}

// tails are those of the workers, and of processes that dead ones left behind.
func (s *Supervisor) tails() []*process.Tail {
	all := slices.Clone(s.roster.Left())
	for w := range s.roster.All() {
		all = append(all, w.Tails()...)
	}
	for _, l := range s.loaders.All() {
		all = append(all, l.Tails()...)
	}
	return all
}

// save is the whole state of the master, which is paused. Only descriptors that are
// elsewhere have to be entered.
func (s *Supervisor) save(said []signs.Message) *saved {
	s.boards.Save()
	for w := range s.roster.All() {
		w.Watch = s.guard.Record(w.ID)
	}
	all := &saved{
		version: s.options.Version, program: s.options.Program, current: s.revisions.Current.Number,
		messages: said, up: s.fleet.Up(), noHangup: s.signals.OutlivesTerminal(),
		strays: s.roster.Save(), master: s,
	}
	for _, t := range s.tails() {
		all.outputLost += t.Passing()
	}
	return all
}
