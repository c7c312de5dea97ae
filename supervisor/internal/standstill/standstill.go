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
	// Idle returns what is closed when no process is being killed.
	Idle func() <-chan struct{}
	// Serve has what a worker says be delivered again.
	Serve func(*roster.Worker)
}

// A Standstill is undone by [Standstill.Resume], complete or not. It belongs to the owner
// of the state, but for [Standstill.Wait].
type Standstill struct {
	options Options
	of      map[any]bool // who was asked
	all     []one
	held    []*process.Held
}

// one is whose goroutine stands still.
type one struct {
	who    any
	pause  func() <-chan struct{}
	resume func()
	late   error           // why there is no standstill without it; nil: what is under way then can be counted
	paused <-chan struct{} // closed when it stands still; nil: it was not asked
}

// all are those that there are now.
func (o *Options) all() []one {
	deaf := errors.New("what workers say is not heard in time")
	all := []one{{pause: o.Idle, resume: func() {}, late: deaf}}
	for w := range o.Roster.All() {
		if w.Endpoint != nil {
			all = append(all, one{who: w.Endpoint, pause: w.Endpoint.Pause, late: deaf, resume: func() {
				if !w.Gone {
					o.Serve(w)
				}
			}})
		}
	}
	for _, l := range o.Loaders.All() {
		all = append(all, one{who: l, pause: l.Pause, late: deaf, resume: func() {
			if slices.Contains(o.Loaders.All(), l) {
				o.Loaders.Resume(l)
			}
		}})
	}
	if access := o.Files.Access(); access != nil {
		all = append(all, one{pause: access.Pause, resume: access.Resume, late: errors.New("whoever reads the access log is too slow")})
	}
	for _, t := range Tails(o.Roster, o.Loaders) {
		all = append(all, one{who: t, pause: t.Pause, resume: t.Resume})
	}
	return all
}

// Begin asks all for one.
func Begin(o Options) *Standstill {
	s := &Standstill{options: o, of: map[any]bool{nil: true}, all: o.all()}
	for i, one := range s.all {
		s.of[one.who], s.all[i].paused = true, one.pause()
	}
	for w := range o.Roster.All() {
		s.held = append(s.held, w.Held())
	}
	return s
}

// Wait returns when all stand still, or that is not to be had. Some of them wait for the
// loop, so that must not call this.
func (s *Standstill) Wait() error {
	limit := time.After(AtMost)
	for _, one := range s.all {
		select {
		case <-one.paused:
		case <-limit:
			return one.late
		}
	}
	for _, held := range s.held {
		held.Release(logorder.PassTime)
	}
	return nil
}

// Covers says whether the standstill is one of all that there are by now.
func (s *Standstill) Covers() bool {
	return !slices.ContainsFunc(s.options.all(), func(one one) bool { return !s.of[one.who] })
}

// Resume has all go on.
func (s *Standstill) Resume() {
	for _, one := range s.all {
		one.resume()
	}
}

// Tails are the output of workers and loaders, and what others still write to that dead
// ones have left.
func Tails(workers *roster.Roster, loaders *preload.Loaders) []*process.Tail {
	all := workers.Left()
	for w := range workers.All() {
		all = append(all, w.Tails()...)
	}
	for _, l := range loaders.All() {
		all = append(all, l.Tails()...)
	}
	return all
}
