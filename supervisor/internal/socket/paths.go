//go:build linux

package socket

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Paths does to the paths of unix sockets what has to be done, for an owner of sets who must not wait: their directory
// may be on a file server that does not answer, and others may hold its lock. One thing is done after the other, each
// by a goroutine that touches no set. The owner waits for it for a moment, so that normally all is done when a method
// returns; what takes longer goes on by itself.
//
// All that is not about a path, as with TCP, is done at once.
type Paths struct {
	owner    func(do func())
	complain func(what string, err error)
	waiting  []work
	busy     bool
	hurry    time.Time // until then nothing is waited for
}

// work is done beside the owner, and then by the owner.
type work struct{ beside, then func() }

// The owner waits for moment until something is done. When that was too short it does not wait again before respite is
// over: a file system that is slow would keep it waiting for each thing.
const (
	moment  = 50 * time.Millisecond
	respite = 10 * time.Second
)

// NewPaths returns one that has nothing to do. owner has do called where the sets may be used; it is called by other
// goroutines, and may never return when the owner is gone; nil: all is waited for as long as it takes. complain is
// told, by the owner, what went wrong.
func NewPaths(owner func(do func()), complain func(what string, err error)) *Paths {
	return &Paths{owner: owner, complain: complain}
}

// Do has something done beside the owner that must not touch a set, in its turn, and calls then on the owner.
func (p *Paths) Do(beside, then func()) {
	if p.owner == nil {
		beside()
		then()
		return
	}
	p.waiting = append(p.waiting, work{beside, then})
	if !p.busy {
		p.next()
	}
}

// Busy says whether something is not done yet.
func (p *Paths) Busy() bool { return p.busy }

// atOnce has all of it be waited for as long as it takes, and returns what went wrong.
func atOnce(do func(*Paths)) error {
	var errs []error
	do(&Paths{complain: func(_ string, err error) { errs = append(errs, err) }})
	return errors.Join(errs...)
}

func (p *Paths) next() {
	p.busy = true
	for len(p.waiting) > 0 {
		one := p.waiting[0]
		p.waiting = p.waiting[1:]
		if !p.soon(one) {
			return
		}
		one.then()
	}
	p.busy = false
}

// soon does one thing, and says whether it is done; if not the rest waits for it.
func (p *Paths) soon(one work) bool {
	done, left := make(chan struct{}), make(chan struct{})
	go func() {
		one.beside()
		select {
		case done <- struct{}{}:
		case <-left:
			p.owner(func() {
				one.then()
				p.next()
			})
		}
	}()
	now, atMost := time.Now(), moment
	if p.hurry.After(now) {
		atMost = 0
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		if atMost > 0 {
			p.hurry = now.Add(respite)
		}
		close(left)
		return false
	}
}

// try does something that may fail.
func (p *Paths) try(what string, do func() error) {
	var err error
	p.Do(func() { err = do() }, func() { p.check(what, err) })
}

func (p *Paths) check(what string, err error) {
	if err != nil {
		p.complain(what, err)
	}
}

// Quiesce is [Set.Quiesce].
func (p *Paths) Quiesce(s *Set) {
	for _, e := range s.all() {
		rest, err := e.quiesce()
		if err == nil && rest.path != "" {
			p.try("cannot keep new connections away", rest.remove)
			continue
		}
		p.check("cannot keep new connections away", err)
	}
}

// Close is [Set.Close], and CloseForAll that for whoever may hold a copy.
func (p *Paths) Close(s *Set) { p.close(s, (*listener).detach) }

// CloseForAll is [Set.CloseForAll].
func (p *Paths) CloseForAll(s *Set) {
	p.close(s, func(l *listener) (leftover, error) {
		if l.own && l.listening {
			return l.detachForAll()
		}
		return l.detach()
	})
}

func (p *Paths) close(s *Set, detach func(*listener) (leftover, error)) {
	for _, e := range s.all() {
		rest, err := detach(e.listener)
		if err != nil {
			p.check("cannot close a listener", fmt.Errorf("%s: %w", e.url, err))
		}
		if rest.path == "" {
			p.check("cannot close a listener", rest.remove())
		} else {
			p.try("cannot close a listener", rest.remove)
		}
	}
}

// Claim is [Set.Claim].
func (p *Paths) Claim(s *Set, o Options) {
	for _, e := range s.all() {
		if path, file := e.path, e.file; e.own && path != "" && e.fd >= 0 {
			p.try("cannot change who may connect", func() error { return claimFor(path, file, o) })
		}
	}
}

// Listen is [Set.Listen]. Where that takes longer renewed is called when it is done, with those that listen now:
// processes that were given one of them meanwhile hold another.
func (p *Paths) Listen(s *Set, renewed func(*Set)) error {
	var errs []error
	for _, e := range s.all() {
		if !e.quiesced || e.bound.IsValid() {
			if err := e.listen(s.options); err != nil {
				return failed(e.address, err)
			}
			continue
		}
		if e.renewing {
			continue
		}
		e.renewing = true
		late := false
		r := &renewal{entry: e, fd: e.fd, options: s.options}
		p.Do(r.bind, func() {
			taken, err := p.take(r, e.renewing)
			switch {
			case err != nil && late:
				p.complain("cannot listen", failed(e.address, err))
			case err != nil:
				errs = append(errs, failed(e.address, fmt.Errorf("cannot take the socket back into service: %w", err)))
			case taken && late:
				renewed(&Set{entries: []entry{e}, options: s.options})
			}
		})
		late = true
	}
	return errors.Join(errs...)
}

// Renew puts a new socket, which listens, in the place of each unix socket of the sets that was made here and can no
// longer be connected to: somebody who shares it called shutdown(2), which a unix socket never recovers from, or
// removed its path. A path that something else has taken since is left alone. If there is anything to tell, then is
// called when it is done: renewed are the new sockets, under the old descriptors; processes that were given one before
// still hold the old one.
func (p *Paths) Renew(sets []*Set, then func(renewed *Set, damages []Damage, err error)) {
	var all []*renewal
	seen := map[*listener]bool{}
	for _, s := range sets {
		for _, e := range s.serving() {
			if e.own && e.path != "" && !seen[e.listener] {
				seen[e.listener] = true
				all = append(all, &renewal{entry: e, fd: e.fd, file: e.file, options: s.options})
			}
		}
	}
	if len(all) == 0 {
		return
	}
	look := func() {
		for _, r := range all {
			if r.what = unreachable(r.path, r.file, r.fd); r.what == "" {
				continue
			}
			if r.err = (leftover{fd: -1, url: r.url, path: r.path, file: r.file}).remove(); r.err == nil {
				r.bind()
			}
		}
	}
	p.Do(look, func() {
		renewed := &Set{}
		var damages []Damage
		var errs []error
		for _, r := range all {
			if r.what == "" {
				continue
			}
			switch taken, err := p.take(r, r.entry.file == r.file && !r.quiesced); {
			case err != nil:
				errs = append(errs, failed(r.address, fmt.Errorf("the socket %s, and cannot be renewed: %w", r.what, err)))
			case taken:
				renewed.entries, renewed.options = append(renewed.entries, r.entry), r.options
				damages = append(damages, Damage{r.url, r.what})
			}
		}
		if len(damages)+len(errs) > 0 {
			then(renewed, damages, errors.Join(errs...))
		}
	})
}

// A renewal is a socket that is to take the place of another, under the same descriptor.
type renewal struct {
	entry
	fd      int    // of the old one
	file    fileID // likewise
	options Options
	what    string // it was that had happened to the old one

	made *listener
	err  error
}

// bind makes the new one.
func (r *renewal) bind() {
	r.made, r.err = (&opening{options: r.options, socket: newSocket, set: &Set{}}).bindPath(r.path)
}

// take puts the new one in its place and has it listen, if it is still wanted there.
func (p *Paths) take(r *renewal, wanted bool) (taken bool, err error) {
	l := r.listener
	if l.renewing = false; r.err != nil {
		return false, r.err
	}
	if !wanted || l.fd != r.fd {
		rest, _ := r.made.detach()
		p.try("cannot close a listener", rest.remove)
		return false, nil
	}
	l.file, l.quiesced, l.listening = r.made.file, false, false
	if err := replace(l.fd, r.made.fd); err != nil {
		return false, err
	}
	return true, l.listen(r.options)
}

// A leftover is what is left of a socket that has left its set.
type leftover struct {
	fd   int    // -1: it is not to be closed
	url  string // of the socket
	path string // "": none is to be removed
	file fileID // what was there
}

// remove closes it, and removes its path if that is still the same file.
func (r leftover) remove() error {
	// In this order: while it is open the socket keeps its inode, so the number cannot belong to another file.
	err := r.unlink()
	if r.fd >= 0 {
		err = errors.Join(err, unix.Close(r.fd))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.url, err)
	}
	return nil
}

func (r leftover) unlink() error {
	if r.path == "" {
		return nil
	}
	there, err := identify(r.path)
	if err != nil || there != r.file {
		return nil // somebody has removed or replaced it, and may
	}
	if err := unix.Unlink(r.path); err != nil && err != unix.ENOENT {
		return fmt.Errorf("cannot remove the path: %w", err)
	}
	return nil
}
