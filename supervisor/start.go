//go:build linux

package supervisor

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/api"
	"github.com/gosuper/gosuper/supervisor/internal/archive"
	"github.com/gosuper/gosuper/supervisor/internal/birth"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/endpoints"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/limits"
	"github.com/gosuper/gosuper/supervisor/internal/listeners"
	"github.com/gosuper/gosuper/supervisor/internal/logorder"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/postmortem"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/signals"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
)

// New prepares a master: it resolves the configuration and binds its
// addresses. Errors of the configuration are *config.Error, those of the
// system *Error, and a signal that ends the wait for an address is ErrStopped.
func New(o Options) (*Supervisor, error) {
	if err := o.prepare(); err != nil {
		return nil, err
	}
	return newSupervisor(o, system())
}

// newState is that of a master that knows and holds nothing yet.
func newState() *Supervisor {
	return &Supervisor{
		inputs:    inputs{signals: signals.New(), signs: signs.New(), loop: loop.New()},
		revisions: revision.Known{All: map[int]*revision.Revision{}},
		roster:    roster.New(),
		books:     books.New(time.Now()),
		endpoints: endpoints.New(),
		files:     &ownfiles.Files{},
		limits:    limits.New(),
		reloads:   reloads.New(),
		births:    birth.New(),
		leftovers: leftovers.New(),
		upgrades:  upgrade.New(),
	}
}

// attach gives a state what it works with before there is a brain.
func (s *Supervisor) attach(o Options, h hands) {
	s.options, s.hands = o, h
	s.log = logorder.New(o.Log, func() { s.loop.Report(func() {}) }) // an upgrade may wait for that
	s.signals.Attach(h.signals)
	s.limits.Scales.Attach(h.trees, h.oom)
	s.leftovers.Attach(leftovers.Options{
		Loop: s.loop, Log: s.log.Logger, Note: s.note, Knows: s.knows, Adopted: h.adopted, Children: s.children,
		Expecting: s.roster.Expecting, Outlive: func() bool { return s.revisions.Current.Config.Limits.Outlive },
	})
	s.reloads.Attach(reloads.Options{
		Log: s.log.Logger, Loop: s.loop, Environ: o.Environ, Reconfigure: o.Reconfigure, Ended: s.books.ReloadEnded,
		InForce: s.revisions.InForce, Plan: s.plan, Try: s.try,
	})
	s.development = develop.New(develop.Options{
		Log: s.log.Logger, Environ: o.Environ, Loop: s.loop, Project: s.project, Reload: func() { s.reload() },
		Make: func(start func() (int, error), told func(int, error), ended func(process.Status)) {
			s.leftovers.Shared = true // build tools leave servers of their own behind
			s.births.Make(start, told, ended)
		},
	})
	s.files.Attach(ownfiles.Options{Loop: s.loop, Log: o.Logs, Logger: s.log.Logger, Turns: o.turns, Lost: s.books.LoseLines})
	s.postmortems.Archive.Attach(archive.Options{Log: s.log.Logger, Loop: s.loop, InForce: s.revisions.InForce})
	s.sockets.Work(socket.NewPaths(s.loop.Report, func(what string, err error) { s.log.Warn(what, zap.Error(err)) }))
}

// connect gives the rest what it works with, now that there is a brain.
func (s *Supervisor) connect() {
	s.births.Loaders.Attach(preload.Options{
		Log: s.log, Environ: s.options.Environ, Output: s.options.Streams, Roster: s.roster, Leftovers: &s.leftovers,
		Note: s.note, State: s.fleet.Loader,
		Restarted: s.books.Loaded, Failed: s.postmortems.Enter, Known: s.knows, Child: s.hands.child, Kill: s.leftovers.KillTree, Make: s.births.Make, Room: s.limits.Overlap.Loader,
		Deliver: func(m preload.Message, done <-chan struct{}) bool {
			return s.signs.Post(signs.Message{Loader: m}, done)
		},
	})
	s.births.Attach(birth.Options{
		Log: s.log.Logger, Loop: s.loop, Environ: s.options.Environ, Output: s.options.Streams, Fleet: s.fleet, Roster: s.roster, Files: s.files,
		Executed: func(w *roster.Worker) { s.signs.Post(signs.Message{ID: w.ID, Executed: true}, w.Endpoint.Done()) },
		Unneeded: func(w *roster.Worker) {
			s.clear(w, 0)
			s.step()
		},
		Over: func() {
			s.step()
			s.leftovers.Sweep(nil)
		},
	})
	if s.hands.launch == nil {
		s.hands.launch = s.births.Launch
	}
	s.signs.Attach(signs.Options{
		Log: s.log.Logger, Loop: s.loop, Fleet: s.fleet, Roster: s.roster, Loaders: &s.births.Loaders, Guard: s.limits.Guard, Busy: s.limits.Demand.Told,
		Once: s.books.Once, Look: s.hands.look, Note: s.note, Step: s.step,
	})
	s.report = &report.Report{
		Version: s.options.Version, Log: s.log.Logger, Fleet: s.fleet, Roster: s.roster, Revisions: &s.revisions, Books: s.books,
		Loaders: &s.births.Loaders, Reloads: s.reloads, Files: s.files, Recent: s.limits.Scales.Recent, Overlap: s.limits.Overlap.Status, Store: s.sockets.Store,
	}
	s.postmortems.Attach(postmortem.Options{
		Log: s.log, Fleet: s.fleet, Roster: s.roster, Books: s.books, Limits: &s.limits, Report: s.report, Files: s.files,
	})
	s.sockets.Attach(listeners.Options{
		Log: s.log.Logger, Loop: s.loop, Fleet: s.fleet, Roster: s.roster, Revisions: &s.revisions, Note: s.note, Step: s.step,
	})
	s.limits.Attach(limits.Options{
		Log: s.log.Logger, Loop: s.loop, Fleet: s.fleet, Roster: s.roster, Revisions: &s.revisions, Loaders: &s.births.Loaders,
		Listen: func(sockets *socket.Set) error { return s.sockets.Listen(sockets, s.sockets.ReplaceHolders) }, Root: os.DirFS("/"),
		ReadBoards: s.report.ReadBoards, LoseInnocents: s.books.LoseInnocents, Note: s.note, Step: s.step,
	})
	s.upgrades.Attach(upgrade.Options{
		Log: s.log.Logger, Loop: s.loop, Version: s.options.Version, Path: func() string { return s.options.Program.Path },
		Objection: s.upgradable, Idle: s.idle, Try: s.beginTrial, Pause: s.endpoints.Pause, Unpause: s.endpoints.Unpause, Replace: s.replace,
	})
	s.endpoints.Attach(endpoints.Options{Loop: s.loop, Master: s.api(), Log: s.log.Logger, Paths: s.sockets.Paths(), Environ: s.options.Environ})
}

// api is what people and programs ask of the master.
func (s *Supervisor) api() *api.API {
	return api.New(api.Options{
		Log: s.log.Logger, Loop: s.loop, Report: s.report, Scales: s.limits.Scales, Upgrades: &s.upgrades,
		Step: s.step, Reload: s.reload, Stop: s.stop, Upgrade: s.upgrades.Ask,
	})
}

func newSupervisor(o Options, h hands) (*Supervisor, error) {
	if o.Inheritance != nil {
		return newSuccessor(o, h)
	}
	s := newState()
	s.attach(o, h)
	s.limits.Scales.FirstKills()
	// Before the pid file invites somebody to send one.
	s.listen()
	rev, err := s.first(o.Config)
	if err != nil {
		s.signals.Stop()
		return nil, public(err)
	}
	if err := s.development.Follow(o.Config); err != nil {
		s.signals.Stop()
		rev.Close()
		return nil, public(err)
	}
	if err := s.files.OpenPID(o.Config.PIDFile); err != nil {
		s.signals.Stop()
		rev.Close()
		return nil, &Error{Err: err}
	}
	s.births.Boards.Open()
	s.adopt(rev)
	s.revisions.Current = rev
	s.fleet = fleet.New(rev.Number, rev.Settings(), rand.Float64)
	s.connect()
	if err := s.endpoints.OpenControl(o.Config); err != nil {
		s.signals.Stop()
		s.files.ClosePID(endpoints.AnswerTime)
		rev.Close()
		return nil, public(err)
	}
	return s, nil
}

// newSuccessor is the master that has left the inheritance, with all that has descriptors
// opened again. There is no way back, so what cannot be opened is done without as far
// as possible.
func newSuccessor(o Options, h hands) (*Supervisor, error) {
	i := o.Inheritance
	if err := i.accept(); err != nil {
		return nil, err
	}
	s := i.master
	s.attach(o, h)
	s.connect()
	if early := handover.Early(); early != nil {
		s.signals.C = early
	}
	s.listen()
	if i.noHangup {
		s.signals.OutliveTerminal()
	}
	s.files.Resume(i.access)
	s.postmortems.Archive.Resume()
	s.upgrades.Done(i.version, o.Version)
	s.endpoints.Resume()
	s.births.Boards.Reopen(s.log.Logger)
	s.roster.Reopen(s.fleet.Workers(), s.revisions.All, o.Streams, s.log.Logger)
	s.births.Loaders.Reopen()
	s.signs.Resume()
	s.limits.Resume()
	return s, nil
}

// first makes the first revision. A name server or a file server that does not answer is
// not waited for when a signal says to stop; signals that say something else are for the
// loop.
func (s *Supervisor) first(c *config.Config) (*revision.Revision, error) {
	var r *revision.Revision
	var err error
	over, stopped := s.signals.During(func(ctx context.Context) {
		if r, err = revision.First(ctx, c, s.options.Environ, &s.sockets.Keeper, s.log.Logger); err != nil {
			return
		}
		if err = s.files.OpenAccess(c.Log.AccessFile); err != nil {
			r.Close()
		}
	}, s.signals.End)
	if !stopped {
		return r, err
	}
	select {
	case <-over:
		if err == nil {
			r.Close()
		}
	case <-time.After(endpoints.AnswerTime):
	}
	return nil, ErrStopped
}
