//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/supervisor/internal/standstill"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// saved is the whole state of a master as one version writes it and another reads
// it: what the fields of the master, and of all that it holds, say in their tags. A
// name is never given another meaning: a new one takes its place.
type saved struct {
	version  string  `state:"version"` // of the program, for people
	program  Program `state:"program"`
	current  int     `state:"current"`   // number of the revision in force
	noHangup bool    `state:"no_hangup"` // SIGHUP was ignored at the very start
	// What nobody took, because whoever reads it was too slow, and which is given up
	// with the image: bytes of workers at most, and lines of the log.
	outputLost int `state:"output_lost"`
	logLost    int `state:"log_lost"`

	master *Supervisor `state:",inline"`
	older  `state:",inline"`
}

// older is what only older versions have written.
type older struct {
	messages []signs.Message   `state:"messages"` // that were not heard yet
	access   *accesslog.Shared `state:"access"`   // of all workers, which wrote to one pipe
	leaving  *socket.Leaving   `state:"leaving"`  // the only set that could leave
	words    []struct {        // before there were incidents
		ID     int      `state:"id"`
		Status string   `state:"status"`
		Lines  []string `state:"lines"`
	} `state:"words"`
}

// save is the whole state of the master, which is paused. Only what is elsewhere than in
// the fields has to be entered.
func (s *Supervisor) save() *saved {
	s.births.Boards.Save()
	s.roster.Save()
	s.limits.Save()
	all := &saved{
		version: s.options.Version, program: s.options.Program, current: s.revisions.Current.Number,
		noHangup: s.signals.OutlivesTerminal(), master: s,
	}
	for _, t := range standstill.Tails(s.roster, &s.births.Loaders) {
		all.outputLost += t.Passing()
	}
	return all
}

// write writes the state into memory of which it returns the descriptor. Descriptors
// are all that the next image finds: what is in the state, and others.
func (s *saved) write(others ...int) (fd int, descriptors []int, err error) {
	text, descriptors, err := state.Write(s, scoreboard.Epoch())
	if err != nil {
		return -1, nil, err
	}
	descriptors = append(descriptors, others...)
	fd, err = handover.Write(text, descriptors)
	return fd, descriptors, err
}

// Inheritance is what the image of this process before an upgrade in place left
// to the one after it.
type Inheritance struct {
	saved
	rest    *handover.State
	fd      int
	fds     []int            // that the state refers to
	signals []syscall.Signal // delivered, and not yet handled
}

// Inherited returns what an image before this one has left, and nil if this is
// the first. Errors mean that there is something which cannot be read.
func Inherited() (*Inheritance, error) {
	fd, pending, ok := handover.Inherited()
	if !ok {
		return nil, nil
	}
	i, err := readInheritance(fd, os.Getpid())
	if err == nil {
		i.signals = pending
	}
	return i, err
}

// Config is the configuration in force.
func (i *Inheritance) Config() *config.Config { return i.master.revisions.Current.Config }

// Torn reports that what was being written to stdout and stderr was given up,
// anywhere in a line.
func (i *Inheritance) Torn() bool { return i.outputLost > 0 || i.logLost > 0 }

// Program is how the first image was started.
func (i *Inheritance) Program() Program { return i.program }

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
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of the master: %w", err)
	}
	i.fd = fd
	return i, nil
}

// understand makes of a state what needs no descriptors.
func understand(rest *handover.State) (i *Inheritance, err error) {
	i = &Inheritance{rest: rest, saved: saved{master: newState()}}
	s := i.master
	if i.fds, err = state.Read(rest.Master, &i.saved, scoreboard.Epoch()); err != nil {
		return nil, err
	}
	if err := s.revisions.Resume(i.current); err != nil {
		return nil, err
	}
	if s.fleet == nil {
		return nil, errors.New("there is no fleet")
	}
	if err := s.fleet.Resume(rand.Float64); err != nil {
		return nil, err
	}
	s.fleet.BindMemory()
	for n := range s.fleet.Revisions() {
		if s.revisions.All[n] == nil {
			return nil, fmt.Errorf("there is no revision %d", n)
		}
	}
	for f := range s.fleet.Workers() {
		if s.roster.Of(f.ID) == nil {
			return nil, fmt.Errorf("there is no worker %d", f.ID)
		}
	}
	for f := range s.fleet.Loaders() {
		if l := s.births.Loaders.Of(f.Revision); l == nil {
			return nil, fmt.Errorf("there is no loader of revision %d", f.Revision)
		}
	}
	if i.leaving != nil {
		s.sockets.Join(i.leaving)
	}
	var older []incidents.Incident
	for _, w := range i.words {
		older = append(older, incidents.Incident{Worker: w.ID, Status: w.Status, Lines: w.Lines})
	}
	s.books.Resume(older...)
	i.leaving, i.words = nil, nil
	return i, nil
}

// accept takes the descriptors over.
func (i *Inheritance) accept() error {
	unix.Close(i.fd)
	return i.rest.Adopt(i.fds)
}
