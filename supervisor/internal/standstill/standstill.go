//go:build linux

// Package standstill brings the goroutines of a master, but for the one that owns its
// state, to a point where nothing is in their hands: if the process becomes another program
// then, nothing is lost but output of workers that nobody takes. The owner goes on
// meanwhile.
package standstill

import (
	"errors"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// AtMost is how long a standstill is waited for. It takes that long only where a reader of
// the log or the access log is slow.
const AtMost = 500 * time.Millisecond

// Options are whose goroutines are meant. All fields are required.
type Options struct {
	Roster  *roster.Roster
	Loaders *preload.Loaders
	Files   *ownfiles.Files
	// Tails are those of workers and loaders, and of processes that dead ones left behind.
	Tails func() []*process.Tail
	// Idle returns what is closed when no process is being killed.
	Idle func() <-chan struct{}
	// Serve has what a worker says be delivered again.
	Serve func(*roster.Worker)
}

// A Standstill is undone by [Standstill.Resume], complete or not. It belongs to the owner
// of the state, but for [Standstill.Wait].
type Standstill struct {
	options  Options
	of       map[any]bool      // who was asked
	speakers []<-chan struct{} // closed when they are paused, as those that follow
	access   <-chan struct{}   // nil: there is no access log
	tails    []<-chan struct{}
	held     []*process.Held
}

// Begin asks all for one.
func Begin(o Options) *Standstill {
	s := &Standstill{options: o, of: map[any]bool{}, speakers: []<-chan struct{}{o.Idle()}}
	for w := range o.Roster.All() {
		s.held = append(s.held, w.Held())
		if w.Endpoint != nil {
			s.of[w.Endpoint] = true
			s.speakers = append(s.speakers, w.Endpoint.Pause())
		}
	}
	for _, l := range o.Loaders.All() {
		s.of[l] = true
		s.speakers = append(s.speakers, l.Pause())
	}
	for _, t := range o.Tails() {
		s.of[t] = true
		s.tails = append(s.tails, t.Pause())
	}
	if access := o.Files.Access(); access != nil {
		s.access = access.Pause()
	}
	return s
}

// Wait returns when all stand still, or that is not to be had. Some of them wait for the
// loop, so that must not call this.
func (s *Standstill) Wait() error {
	limit := time.After(AtMost)
	for _, paused := range s.speakers {
		select {
		case <-paused:
		case <-limit:
			return errors.New("what workers say is not heard in time")
		}
	}
	if s.access != nil {
		select {
		case <-s.access:
		case <-limit:
			return errors.New("whoever reads the access log is too slow")
		}
	}
	for _, paused := range s.tails {
		select {
		case <-paused:
		case <-limit:
			return nil // what is under way then can be counted
		}
	}
	for _, held := range s.held {
		held.Release(logorder.PassTime)
	}
	return nil
}

// Covers says whether the standstill is one of all that there are by now.
func (s *Standstill) Covers() bool {
	for w := range s.options.Roster.All() {
		if w.Endpoint != nil && !s.of[w.Endpoint] {
			return false
		}
	}
	for _, l := range s.options.Loaders.All() {
		if !s.of[l] {
			return false
		}
	}
	return !slices.ContainsFunc(s.options.Tails(), func(t *process.Tail) bool { return !s.of[t] })
}

// Resume has all go on.
func (s *Standstill) Resume() {
	for w := range s.options.Roster.All() {
		if w.Endpoint != nil && s.of[w.Endpoint] && !w.Gone {
			s.options.Serve(w)
		}
	}
	for _, l := range s.options.Loaders.All() {
		if s.of[l] {
			s.options.Loaders.Resume(l)
		}
	}
	for _, t := range s.options.Tails() {
		t.Resume()
	}
	if access := s.options.Files.Access(); access != nil {
		access.Resume()
	}
}
