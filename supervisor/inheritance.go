//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Inheritance is what the image of this process before an upgrade in place left
// to the one after it.
type Inheritance struct {
	state   estate
	rest    *handover.State
	fd      int
	current *estateRevision
	fds     []int // that the state refers to
	sockets []*socket.Set
	signals []syscall.Signal // delivered, and not yet handled
}

// Inherited returns what an image before this one has left, and nil if this is
// the first. Errors mean that there is something which cannot be read.
func Inherited() (*Inheritance, error) {
	fd, signals, ok := handover.Inherited()
	if !ok {
		return nil, nil
	}
	i, err := readInheritance(fd, os.Getpid())
	if err == nil {
		i.signals = signals
	}
	return i, err
}

// Config is the configuration in force.
func (i *Inheritance) Config() *config.Config { return i.current.Config }

// Program is how the first image was started.
func (i *Inheritance) Program() Program { return i.state.Program }

// Rehearse says, in the process that tries a new version, whether that could go
// on with what its parent would leave to it, as far as that can be told without
// having it. It returns what Inherited would.
func Rehearse(fd int) (*Inheritance, error) { return readInheritance(fd, os.Getppid()) }

func readInheritance(fd, pid int) (*Inheritance, error) {
	rest, err := handover.Read(fd, pid)
	if err != nil {
		return nil, err
	}
	i, err := understand(rest)
	if err == nil {
		i.fd = fd
	}
	return i, err
}

// understand makes of a state what needs no descriptors.
func understand(rest *handover.State) (i *Inheritance, err error) {
	i = &Inheritance{rest: rest, state: newEstate()}
	if i.fds, err = state.Read(rest.Master, &i.state, scoreboard.Epoch()); err != nil {
		return nil, err
	}
	l := &i.state
	for n := range l.Revisions {
		if l.Revisions[n].Config == nil {
			return nil, errors.New("cannot read the state of the master: a revision has no configuration")
		}
		if l.Revisions[n].Number == l.Current {
			i.current = &l.Revisions[n]
		}
	}
	if i.current == nil {
		return nil, errors.New("cannot read the state of the master: no configuration is in force")
	}
	if l.Fleet == nil {
		return nil, errors.New("cannot read the state of the master: there is no fleet")
	}
	if err := l.Fleet.Resume(rand.Float64); err != nil {
		return nil, fmt.Errorf("cannot read the state of the master: %w", err)
	}
	if i.sockets, err = socket.Restore(l.Sockets); err != nil {
		return nil, err
	}
	return i, i.check()
}

// check says whether everything that the state refers to is in it.
func (i *Inheritance) check() error {
	l := &i.state
	sets := []int{l.Activated, l.Stored}
	if l.Control != nil {
		sets = append(sets, l.Control.Set)
	}
	for _, one := range l.leaving() {
		sets = append(sets, one.Set)
	}
	for _, r := range l.Revisions {
		sets = append(sets, r.Set, r.Admin)
	}
	for _, set := range sets {
		if set < -1 || set >= len(i.sockets) {
			return fmt.Errorf("cannot read the state of the master: there are no sockets %d", set)
		}
	}
	known := func(n int) bool {
		return slices.ContainsFunc(l.Revisions, func(r estateRevision) bool { return r.Number == n })
	}
	for n := range i.state.Fleet.Revisions() {
		if !known(n) {
			return fmt.Errorf("cannot read the state of the master: there is no revision %d", n)
		}
	}
	handles := map[int]bool{}
	for _, w := range l.Workers {
		handles[w.ID] = true
	}
	for w := range i.state.Fleet.Workers() {
		if !handles[w.ID] {
			return fmt.Errorf("cannot read the state of the master: there is no worker %d", w.ID)
		}
	}
	return nil
}

// set returns a set of sockets by its index; nil for -1.
func (i *Inheritance) set(n int) *socket.Set {
	if n < 0 {
		return nil
	}
	return i.sockets[n]
}

// accept takes the descriptors over.
func (i *Inheritance) accept() error {
	unix.Close(i.fd)
	return i.rest.Adopt(i.fds)
}
