//go:build linux

package supervisor

import (
	"errors"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// pauseTime is what the goroutines that copy what workers write get to come to
// a point where nothing is in their hands. They need it only where a reader of
// the log or the access log is slow.
const pauseTime = 500 * time.Millisecond

// pause brings all other goroutines to a standstill in which nothing is lost
// when they end, but for output of workers that nobody takes. What workers say meanwhile is returned, to be heard later.
// After an error it is to be undone by resume all the same.
func (s *Supervisor) pause() (said []message, err error) {
	for w := range s.roster.All() {
		w.Held().Release(roster.PassTime)
	}
	for w := range s.roster.All() {
		if w.Endpoint == nil {
			continue
		}
		said = append(said, s.listenUntil(w.Endpoint.Pause())...)
	}
	for _, l := range s.loaders.All() {
		said = append(said, s.listenUntil(l.Pause())...)
	}
	// All are asked before the first is waited for.
	var waits []<-chan struct{}
	for _, t := range s.tails() {
		waits = append(waits, t.Pause())
	}
	limit := time.NewTimer(pauseTime)
	defer limit.Stop()
	if access := s.files.Access(); access != nil {
		select {
		case <-access.Pause():
		case <-limit.C:
			return said, errors.New("whoever reads the access log is too slow")
		}
	}
	for _, paused := range waits {
		select {
		case <-paused:
		case <-limit.C:
			return said, nil // what is under way then is counted by save
		}
	}
	return said, nil
}

// listenUntil returns what is said until somebody who waits for nobody but this loop has
// come to a standstill.
func (s *Supervisor) listenUntil(paused <-chan struct{}) (said []message) {
	for {
		select {
		case m := <-s.messages:
			said = append(said, m)
		case <-paused:
			return said
		}
	}
}

// resume undoes pause.
func (s *Supervisor) resume() {
	for w := range s.roster.All() {
		if w.Endpoint != nil {
			s.serve(w)
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
func (s *Supervisor) save(said []message) *saved {
	s.boards.Save()
	for w := range s.roster.All() {
		w.Watch = s.guard.Record(w.ID)
		w.Board = w.BoardFD()
	}
	all := &saved{up: s.fleet.Up(), noHangup: s.signals.OutlivesTerminal(), version: s.options.Version, program: s.options.Program, current: s.revisions.Current.Number, messages: said, master: s}
	for _, id := range s.roster.IDs() {
		if stdout := s.roster.Of(id).Stdout(); stdout != nil {
			all.strays = append(all.strays, leftPipe{Tail: stdout, Worker: id})
		}
	}
	for _, t := range s.roster.Left() {
		all.strays = append(all.strays, leftPipe{Tail: t})
	}
	for _, t := range s.tails() {
		all.outputLost += t.Passing()
	}
	return all
}
