//go:build linux

package supervisor

import (
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/birth"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/limits"
	"github.com/gosuper/gosuper/supervisor/internal/listeners"
	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/postmortem"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signals"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
	_ "github.com/gosuper/gosuper/worker/plain" // a master under another one is no cooperating worker
)

// Supervisor is one master. Its state belongs to the goroutine of the loop, which Run
// starts.
type Supervisor struct {
	options Options       `state:"-"`
	log     *logorder.Log `state:"-"` // which all of the loop writes to
	hands   hands         `state:"-"`
	inputs  `state:"-"`

	fleet     *fleet.Fleet        `state:"fleet"`
	revisions revision.Known      `state:",inline"`
	files     *ownfiles.Files     `state:",inline"` // that the master writes itself
	sockets   listeners.Listeners `state:",inline"` // beside those of the revisions
	births    birth.Births        `state:",inline"` // of workers, and of other processes

	roster    *roster.Roster      `state:",inline"`
	leftovers leftovers.Leftovers `state:",inline"`

	books       *books.Books           `state:",inline"` // what is counted and remembered
	report      *report.Report         `state:"-"`       // what the master is doing
	postmortems postmortem.Postmortems `state:",inline"` // of workers
	limits      limits.Limits          `state:",inline"` // of workers, and of how many there are
	reloads     *reloads.Reloads       `state:",inline"`
	endpoints   *endpoints.Endpoints   `state:",inline"` // where people and programs ask
	upgrades    upgrade.Upgrades       `state:"-"`
}

// inputs are what the loop waits for, beside its timer, and what it has to do next.
type inputs struct {
	signals *signals.Signals
	signs   *signs.Signs  // of workers: what they say, and what is seen of them
	loop    *loop.Loop    // by which other goroutines reach the loop
	noted   []fleet.Event // what the brain is told in its next step

	development *develop.Development // what was edited
}

// note keeps an event for the next step.
func (s *Supervisor) note(ev fleet.Event) { s.noted = append(s.noted, ev) }

// step hands the events to the brain, after those that were noted, and does what
// it says, until there is nothing left that followed from it. What happens
// together makes one step, which takes time in proportion to the workers.
func (s *Supervisor) step(events ...fleet.Event) {
	s.noted = append(s.noted, events...)
	for len(s.noted) > 0 && !s.fleet.Halted() {
		events, s.noted = s.noted, nil
		s.carryOut(s.fleet.Step(time.Now(), events...))
	}
}
