//go:build linux

package supervisor

import (
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
)

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
	for f := range s.fleet.Workers() {
		w := s.roster.Of(f.ID)
		w.Identity, w.Rev, w.Executed, w.Signs.Due = f.Identity, s.revisions.All[f.Revision], true, time.Now()
		s.limits.Guard.Resume(w.ID, w.Watch)
		if err := w.Reopen(s.options.Streams, s.log.Logger); err != nil {
			s.log.Error("cannot go on with all that a worker says", w.Fields(zap.Error(err))...)
		}
		if w.Endpoint != nil {
			s.signs.Serve(w)
		}
		s.roster.Born(w.ID, w.PID)
	}
	for _, id := range s.roster.IDs() {
		if _, alive := s.fleet.Worker(id); !alive {
			s.roster.Remove(id)
		}
	}
	for _, l := range s.births.Loaders.All() {
		s.births.Loaders.Reopen(l)
	}
	s.roster.Reopen(i.strays, s.options.Streams)
	return s, nil
}

// greetAgain says what goes on. Workers that only finish what they have are not
// counted with those that there are to be.
func (s *Supervisor) greetAgain(i *Inheritance) {
	fields := []zap.Field{
		zap.String("from", i.version), zap.String("version", s.options.Version),
		zap.Int("pid", os.Getpid()), zap.Strings("bind", s.revisions.Current.Binds()), zap.Int("workers", s.fleet.Target()),
	}
	draining := 0
	for w := range s.fleet.Workers() {
		if w.State == fleet.Draining || w.State.Ending() {
			draining++
		}
	}
	if draining > 0 {
		fields = append(fields, zap.Int("draining", draining))
	}
	s.log.Info("upgraded", fields...)
	if i.Torn() {
		s.log.Warn("output was given up for the upgrade: whoever reads it was too slow", zap.Int("bytes", i.outputLost), zap.Int("log_lines", i.logLost))
	}
}

// begin has the brain take its first step. After an upgrade it first hears what
// happened in the gap.
func (s *Supervisor) begin() {
	i := s.options.Inheritance
	if i == nil {
		s.step(fleet.Tick{})
		return
	}
	s.greetAgain(i)
	for _, r := range s.revisions.All {
		s.endpoints.OpenAdmin(r.Admin, r.Config) // all were in force once
	}
	s.endpoints.OpenAdmin(s.revisions.Current.Admin, s.revisions.Current.Config) // whose rights count where they share an address
	s.limits.Watch(time.Now())
	for w := range s.roster.All() {
		s.limits.Weigh(w)
	}
	s.development.Watch(s.revisions.Current.Config, "cannot watch files")
	for _, m := range i.messages {
		s.signs.Hear(m)
	}
	for id := range s.fleet.Remaining() {
		if s.leftovers.Groups.PID(id) == 0 { // it had no process, and will have none
			s.note(fleet.Cleared{ID: id})
		}
	}
	s.step()
	s.tick()
	go s.hands.trim() // of what only the upgrade needed
	for _, sig := range i.signals {
		s.handle(sig)
	}
}
