//go:build linux

package supervisor

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/leftovers"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
)

// loaders are the processes that the workers of preloaded revisions are forked from.
type loaders struct {
	all   []*preloader          `state:"loaders"`
	last  int                   `state:"last_loader"` // id of the newest
	ended map[int]*books.Ending `state:"-"`           // of the last one of a revision that failed
	exit  time.Time             `state:"-"`           // when a process ended last that shared memory with others
}

// settleTime is how long the figures of memory say nothing after a process has ended:
// what it had in common with others is theirs from then on, and they have not grown.
const settleTime = 5 * time.Second

// unsettled says whether the memory of forked workers is not to be judged now.
func (l *loaders) unsettled(now time.Time) bool { return now.Sub(l.exit) < settleTime }

// preloader is one loader and what ties the master to it.
type preloader struct {
	id            int            `state:"id"` // of no other, ever
	number        int            `state:"revision"`
	generation    int            `state:"generation"`
	started       time.Time      `state:"started"`
	way           *loader.Loader `state:"loader"`
	output.Output `state:",inline"`

	executed   bool      `state:"-"`    // its own program runs
	says       string    `state:"says"` // what it last said about itself
	failure    string    `state:"-"`    // what was wrong before it exited; "": nothing
	words      []string  `state:"-"`    // its last lines when the failure was noticed
	complained time.Time `state:"-"`    // when it was said last that something is wrong with a message
}

// complainEvery is how often that is said at most.
const complainEvery = 10 * time.Second

// byPID is the loader with that pid which is not reaped; nil: there is none.
func (l *loaders) byPID(pid int) *preloader {
	return l.first(func(p *preloader) bool { return p.way.PID == pid && !p.way.Gone() })
}

// of is the loader of a revision that can be asked for workers; nil: there is none.
func (l *loaders) of(revision int) *preloader {
	return l.first(func(p *preloader) bool { return p.number == revision && !p.way.Gone() })
}

func (l *loaders) first(is func(*preloader) bool) *preloader {
	if i := slices.IndexFunc(l.all, is); i >= 0 {
		return l.all[i]
	}
	return nil
}

// due is when the first of them is to be asked whether it hangs; zero: never.
func (l *loaders) due() (next time.Time) {
	for _, p := range l.all {
		next = soonest(next, p.way.Due())
	}
	return next
}

// cancel has a worker not be asked for, if it is not yet.
func (l *loaders) cancel(id int) {
	for _, p := range l.all {
		p.way.Cancel(id)
	}
}

// look is the status of all that are not reaped.
func (l *loaders) look(f *fleet.Fleet, now time.Time) []control.Loader {
	all := []control.Loader{}
	for _, p := range l.all {
		if p.way.Gone() {
			continue
		}
		one := control.Loader{
			Generation: p.generation, State: f.Loader(p.number).State.String(), AgeSeconds: control.Seconds(now.Sub(p.started)),
			MemoryKind: control.RSS, Status: p.says,
		}
		if p.way.PID > 0 {
			one.PID = new(p.way.PID)
		}
		all = append(all, one)
	}
	return all
}

// leader is the loader as one who may leave something behind, with an id that no worker
// has.
func (l *preloader) leader() leftovers.Leader {
	return leftovers.Leader{ID: -l.id, PID: l.way.PID, Busy: true}
}

// fields identify a loader in the log.
func (l *preloader) fields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.Int("pid", l.way.PID), zap.Int("generation", l.generation)}, more...)
}

// age is how long the loader has lived.
func (l *preloader) age() time.Duration { return time.Since(l.started).Round(time.Millisecond) }

// ending is how the loader ended, or why it is about to.
func (l *preloader) ending(status string) *books.Ending {
	words := l.words
	if words == nil {
		words = l.LastLines()
	}
	switch {
	case l.failure != "" && status != "":
		status = l.failure + " (" + status + ")"
	case l.failure != "":
		status = l.failure
	}
	return &books.Ending{Status: status, Lines: words}
}

// load has the command of a revision be started as its loader.
func (s *Supervisor) load(a fleet.Load) {
	l := &preloader{id: s.loaders.last + 1, number: a.Revision, generation: a.Generation, started: time.Now()}
	s.loaders.last = l.id
	s.loaders.all = append(s.loaders.all, l)
	r := s.revisions.All[a.Revision]
	o, err := s.outfitLoader(l, r)
	if err == nil {
		err = o.Own()
	}
	if err != nil {
		o.Close()
		s.notLoaded(l, err)
		return
	}
	s.makeOther(func() (pid int, err error) {
		defer o.Close()
		return process.Start(r.Spec(o, func() { s.post(message{loader: l.id, executed: true}, l.way.Done()) }))
	}, func(pid int, err error) {
		defer s.step()
		if err != nil {
			s.notLoaded(l, err)
			return
		}
		l.way.PID = pid
		s.serveLoader(l)
		s.log.Info("loader started", l.fields(zap.String("reason", string(a.Reason)))...)
		if known := s.fleet.Loader(l.number); known.State == fleet.LoaderKilled {
			s.endLoader(l)
		}
	}, func(end process.Status) {
		s.loaderDied(l, end)
		s.step()
	})
}

// notLoaded notes that a loader could not be started.
func (s *Supervisor) notLoaded(l *preloader, err error) {
	s.loaders.ended[l.number] = &books.Ending{Status: err.Error(), Hint: hint.Of(err)}
	s.log.Error("cannot start loader", append([]zap.Field{zap.Int("generation", l.generation)}, hint.Fields(err)...)...)
	s.note(fleet.LoaderExited{Revision: l.number})
	l.Output.Close()
	if l.way != nil {
		l.way.Close()
	}
	s.loaders.all = slices.DeleteFunc(s.loaders.all, func(p *preloader) bool { return p == l })
}

// outfitLoader makes what ties the master to a loader, and puts together what that is
// given. It is to be closed after an error as well.
func (s *Supervisor) outfitLoader(l *preloader, r *revision.Revision) (o *outfit.Outfit, err error) {
	o = &outfit.Outfit{}
	if l.way, err = loader.New(); err != nil {
		return o, err
	}
	o.Lend(l.way.CloseChild, l.CloseWriteEnds)
	if err := l.Open(output.Options{To: s.options.Streams, Apart: r.Config.Log.Workers == config.Wrapped, Owner: r.Credential}); err != nil {
		return o, err
	}
	given := outfit.Loader{Config: r.Config, Environ: s.options.Environ, Identity: r.Identity, Generation: l.generation, Channel: l.way.ChildFd()}
	given.Stdout, given.Stderr = l.FDs()
	given.Fill(o)
	return o, nil
}

// serveLoader has what the loader says be delivered to the loop.
func (s *Supervisor) serveLoader(l *preloader) {
	l.way.Serve(func(m loader.Message) { s.post(message{loader: l.id, said: m}, l.way.Done()) })
}
