//go:build linux

package supervisor

import (
	"cmp"
	"errors"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/scoreboard"
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
	if early := handover.Early(); early != nil {
		s.signals.C = early
	}
	s.listen()
	if i.noHangup {
		s.signals.OutliveTerminal()
	}
	s.files.ResumePID()
	s.upgrades.last = control.Upgrade{Result: control.OK, From: i.version, To: o.Version}
	s.endpoints.Resume()
	s.reopenLogs(&i.saved)
	if s.boards.page >= 0 {
		s.boards.busy = reopen(s, s.boards.page, scoreboard.AdoptFleet) // nil: spreading is left to chance
	}
	for f := range s.fleet.Workers() {
		w := s.roster.Of(f.ID)
		w.Identity, w.revision, w.executed, w.signs.due = f.Identity, s.revisions.All[f.Revision], true, time.Now()
		s.guard.Resume(w.ID, w.watch)
		w.reopen(s)
		s.roster.Born(w.ID, w.pid)
	}
	for _, id := range s.roster.IDs() {
		if _, alive := s.fleet.Worker(id); !alive {
			s.roster.Remove(id)
		}
	}
	for _, l := range s.loaders.all {
		l.reopen(s)
	}
	s.reopenPipes(i.strays)
	return s, nil
}

// reopen maps memory again; nil: that failed.
func reopen[M any](s *Supervisor, fd int, adopt func(fd int) (*M, error)) *M {
	m, err := adopt(fd)
	if err != nil {
		s.log.Error("cannot go on with shared memory", zap.Error(err))
		unix.Close(fd)
		return nil
	}
	return m
}

// reopenLogs goes on with what is written for the workers.
func (s *Supervisor) reopenLogs(left *saved) {
	if left.access != nil {
		snapshot := left.access.Snapshot()
		left.log = &snapshot
	}
	if left.log != nil {
		s.files.RestoreAccess(*left.log)
	}
}

// reopenPipes goes on with the pipes that are not a worker's first. Workers come
// before them.
func (s *Supervisor) reopenPipes(all []leftPipe) {
	for _, t := range all {
		stream := cmp.Or(t.Stream, Stderr)
		if w := s.roster.Of(t.Worker); w != nil && w.tail != nil && w.stdout == nil {
			stdout, err := w.tail.RestoreBeside(t.TailSnapshot, s.options.Streams.Worker(w.ID, stream))
			if err == nil {
				w.stdout = stdout
			}
			continue
		}
		if tail, err := process.RestoreTail(t.TailSnapshot, s.options.Streams.Worker(0, stream)); err == nil {
			s.roster.Leave(tail)
		}
	}
}

// reopen goes on with what a worker says.
func (w *worker) reopen(s *Supervisor) {
	var errs [2]error
	if w.board >= 0 {
		w.memory = reopen(s, w.board, scoreboard.Adopt)
	}
	if first := w.first; first != nil {
		w.tail, errs[0] = process.RestoreTail(*first, s.options.Streams.Worker(w.ID, cmp.Or(first.Stream, Stderr)))
		w.first = nil
	}
	if w.endpoint != nil {
		if errs[1] = w.endpoint.Reopen(); errs[1] == nil {
			w.serve(s)
		} else {
			w.endpoint = nil
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		s.log.Error("cannot go on with all that a worker says", w.fields(zap.Error(err))...)
	}
}

// reopen goes on with what a loader says.
func (l *preloader) reopen(s *Supervisor) {
	l.executed = true
	errs := [3]error{l.way.Reopen()}
	if errs[0] == nil {
		l.serve(s)
	}
	if l.first != nil {
		l.tail, errs[1] = process.RestoreTail(*l.first, s.options.Streams.Worker(0, cmp.Or(l.first.Stream, Stderr)))
	}
	if l.second != nil && l.tail != nil {
		l.stdout, errs[2] = l.tail.RestoreBeside(*l.second, s.options.Streams.Worker(0, l.second.Stream))
	}
	l.first, l.second = nil, nil
	if err := errors.Join(errs[:]...); err != nil {
		s.log.Error("cannot go on with all that a loader says", l.fields(zap.Error(err))...)
	}
}

// greetAgain says what goes on. Workers that only finish what they have are not
// counted with those that there are to be.
func (s *Supervisor) greetAgain(i *Inheritance) {
	fields := []zap.Field{
		zap.String("from", i.version), zap.String("version", s.options.Version),
		zap.Int("pid", os.Getpid()), zap.Strings("bind", s.revisions.Current.Sockets.URLs()), zap.Int("workers", s.fleet.Target()),
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
	s.guard.Keep(time.Now(), s.watched())
	for w := range s.roster.All() {
		s.weigh(w)
	}
	s.watchFiles(s.revisions.Current.Config, "cannot watch files")
	for _, m := range i.messages {
		s.hear(m)
	}
	s.step()
	s.tick()
	go s.hands.trim() // of what only the upgrade needed
	for _, sig := range i.signals {
		s.handle(sig)
	}
}
