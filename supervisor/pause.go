//go:build linux

package supervisor

import (
	"errors"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// pauseTime is how long a standstill is waited for. It takes that long only where a reader
// of the log or the access log is slow.
const pauseTime = 500 * time.Millisecond

// A pause brings all other goroutines to a standstill in which nothing is lost when they
// end, but for output of workers that nobody takes. It is undone by resume, complete or not.
type pause struct {
	of       map[any]bool      // who was asked
	speakers []<-chan struct{} // closed when they are paused, as those that follow
	access   <-chan struct{}   // nil: there is no access log
	tails    []<-chan struct{}
	held     []*process.Held
}

// beginPause asks all for one.
func (s *Supervisor) beginPause() *pause {
	p := &pause{of: map[any]bool{}, speakers: []<-chan struct{}{s.killer.Idle()}}
	for w := range s.roster.All() {
		p.held = append(p.held, w.Held())
		if w.Endpoint != nil {
			p.of[w.Endpoint] = true
			p.speakers = append(p.speakers, w.Endpoint.Pause())
		}
	}
	for _, l := range s.loaders.All() {
		p.of[l] = true
		p.speakers = append(p.speakers, l.Pause())
	}
	for _, t := range s.tails() {
		p.of[t] = true
		p.tails = append(p.tails, t.Pause())
	}
	if access := s.files.Access(); access != nil {
		p.access = access.Pause()
	}
	return p
}

// wait returns when all stand still, or that is not to be had. Some of them wait for the
// loop, so that must not call it.
func (p *pause) wait() error {
	limit := time.After(pauseTime)
	for _, paused := range p.speakers {
		select {
		case <-paused:
		case <-limit:
			return errors.New("what workers say is not heard in time")
		}
	}
	if p.access != nil {
		select {
		case <-p.access:
		case <-limit:
			return errors.New("whoever reads the access log is too slow")
		}
	}
	for _, paused := range p.tails {
		select {
		case <-paused:
		case <-limit:
			return nil // what is under way then is counted by save
		}
	}
	for _, held := range p.held {
		held.Release(roster.PassTime)
	}
	return nil
}

// covers says whether the pause is one of all that there are by now.
func (s *Supervisor) covers(p *pause) bool {
	for w := range s.roster.All() {
		if w.Endpoint != nil && !p.of[w.Endpoint] {
			return false
		}
	}
	for _, l := range s.loaders.All() {
		if !p.of[l] {
			return false
		}
	}
	return !slices.ContainsFunc(s.tails(), func(t *process.Tail) bool { return !p.of[t] })
}

// resume undoes a pause.
func (s *Supervisor) resume(p *pause) {
	for w := range s.roster.All() {
		if w.Endpoint != nil && p.of[w.Endpoint] && !w.Gone {
			s.signs.Serve(w)
		}
	}
	for _, l := range s.loaders.All() {
		if p.of[l] {
			s.loaders.Resume(l)
		}
	}
	for _, t := range s.tails() {
		t.Resume()
	}
	if access := s.files.Access(); access != nil {
		access.Resume()
	}
}

// errUnsettled says that too much happened while a standstill came about.
var errUnsettled = errors.New("something happened meanwhile")

// standstill has the loop call do with the state of the master while nothing else happens
// in this process, after another goroutine has called aside. Until then the loop goes on:
// if too much happens meanwhile, or do says so by errUnsettled, the phase of the upgrade
// begins once more. It may be that do never returns. What came of it is told to over.
func (s *Supervisor) standstill(aside func() error, do func(*saved) error, over func(error)) {
	p := s.beginPause()
	go func() {
		err := p.wait()
		if err == nil {
			err = aside()
		}
		s.loop.Report(func() {
			if err == nil {
				err = s.upgradable()
			}
			if err == nil && !(s.settled() && s.covers(p)) {
				err = errUnsettled
			}
			if err == nil {
				err = do(s.save())
			}
			s.resume(p)
			if errors.Is(err, errUnsettled) {
				s.upgrades.Postpone()
				return
			}
			over(err)
		})
	}()
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
func (s *Supervisor) save() *saved {
	s.births.Boards.Save()
	for w := range s.roster.All() {
		w.Watch = s.limits.Guard.Record(w.ID)
	}
	all := &saved{
		version: s.options.Version, program: s.options.Program, current: s.revisions.Current.Number,
		up: s.fleet.Up(), noHangup: s.signals.OutlivesTerminal(),
		strays: s.roster.Save(), master: s,
	}
	for _, t := range s.tails() {
		all.outputLost += t.Passing()
	}
	return all
}
