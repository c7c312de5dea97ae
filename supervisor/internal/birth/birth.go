//go:build linux

// Package birth makes the processes of workers, in two steps: what a worker is given is put
// together, which is an environment and descriptors as data (package outfit), and then its
// process is born, made by the main goroutine or by a loader (package preload).
//
// Workers are outfitted as their turn comes: so no more descriptors are open than some of
// them need, and nothing is made for one that is given up before.
package birth

import (
	"crypto/rand"
	"errors"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/boards"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/output"
	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/sealed"
)

// heldFor is how much later than it was written what a worker writes to stderr is seen
// before anything was ever ready: if the worker ends meanwhile, with what another
// has said already, it is not said again. What the first of one worker writes is
// seen at once.
const heldFor = time.Second

// Options are what births need. All fields are required.
type Options struct {
	Log     *zap.Logger
	Loop    *loop.Loop         // whose main goroutine makes processes
	Environ []string           // of the master
	Output  output.Destination // of what workers write
	Fleet   *fleet.Fleet
	Roster  *roster.Roster
	Files   *ownfiles.Files // of which workers get the access log
	// Executed is called by another goroutine when the program of a worker runs, or never
	// will.
	Executed func(*roster.Worker)
	// Unneeded is called by the owner of a worker that was given up before its turn.
	Unneeded func(*roster.Worker)
	// Over is called by the owner after each birth that the main goroutine was sent for.
	Over func()
}

// Births are those of one master. They belong to one goroutine, and are of use after
// [Births.Attach].
type Births struct {
	options Options `state:"-"`

	// Loaders are the processes that workers are forked from.
	Loaders preload.Loaders `state:",inline"`
	// Boards are the memory that workers are given to report by.
	Boards boards.Boards `state:",inline"`
	// Fronts is the descriptor of what the fronts of worker_class = "proxy" know each other by;
	// -1: there was none yet.
	Fronts int `state:"fronts,fd"`
}

// New are the births of a master that has no loader.
func New() Births { return Births{Loaders: preload.New(), Fronts: -1} }

// Attach says what the births work with.
func (b *Births) Attach(o Options) { b.options = o }

// Launch has the process of a worker made. The pid is 0, since that takes its time: the
// owner calls told when there is an answer, unless an error says at once why not.
func (b *Births) Launch(w *roster.Worker, told func(pid int, err error)) (pid int, err error) {
	if w.Rev.Config.Preload {
		o, err := b.own(w)
		if err == nil {
			err = b.Loaders.Ask(w.Revision, w.ID, o, told)
		}
		if err != nil {
			o.Close()
		}
		return 0, err
	}
	b.options.Loop.SendMain(func() loop.Work {
		if w.Gone {
			b.options.Unneeded(w)
			return nil
		}
		o, err := b.own(w)
		w.Making = true
		return func() func() {
			defer o.Close()
			pid, known := 0, make(chan struct{})
			if err == nil {
				pid, err = process.Start(w.Rev.Spec(o, config.Worker{Lease: w.Lease}, func() {
					<-known // what it is comes before what it does
					b.options.Executed(w)
				}))
			}
			return func() {
				told(pid, err)
				b.options.Over()
				close(known)
			}
		}
	})
	return 0, nil
}

// Make has a process made that is no worker's. start does that on the main thread; told
// learns what came of it, and ended how the process ended if it has already.
func (b *Births) Make(start func() (pid int, err error), told func(pid int, err error), ended func(process.Status)) {
	b.options.Roster.Expect()
	b.options.Loop.SendMain(func() loop.Work {
		return func() func() {
			pid, err := start()
			return func() {
				end, over := b.options.Roster.Came(pid)
				if told(pid, err); over {
					ended(end)
				}
				b.options.Over()
			}
		}
	})
}

// own is the outfit of a worker, with descriptors of its own. It is to be closed after an
// error as well.
func (b *Births) own(w *roster.Worker) (*outfit.Outfit, error) {
	o, err := b.outfit(w)
	if err == nil {
		err = o.Own()
	}
	return o, err
}

// outfit makes what ties the master to a worker, and puts together what the worker is
// given of it and of the rest. It is to be closed after an error as well.
func (b *Births) outfit(w *roster.Worker) (o *outfit.Outfit, err error) {
	r := w.Rev
	o = &outfit.Outfit{}
	if w.Endpoint, err = notify.New(); err != nil {
		return o, err
	}
	o.Lend(func() { w.Endpoint.CloseChild() }, w.CloseWriteEnds)
	if err := b.openOutput(w); err != nil {
		return o, err
	}
	w.Memory = b.Boards.Create(b.options.Log)
	if w.Slot == fleet.NoSlot {
		if w.Memory == nil {
			return o, errors.New("there is no memory by which a spare could be told to accept nothing")
		}
		w.View().Hold()
	}
	given := outfit.Worker{
		Config: r.Config, Environ: b.options.Environ, Identity: r.Identity,
		ID: w.ID, Slot: w.Slot, Place: w.Place, Generation: w.Generation, Limit: w.Limit, Lease: w.Lease,
		Listeners: r.Sockets.Fds(w.Slot), Names: r.Sockets.Names(w.Slot),
		NotifyAddress: w.Endpoint.Address(), Notify: w.Endpoint.ChildFd(),
		Board: w.BoardFD(), Fleet: b.Boards.PageFD(), Access: -1, TLS: r.TLS, Front: b.front(r.Config),
	}
	given.Stdout, given.Stderr = w.FDs()
	if access := b.options.Files.Access(); access != nil && r.Config.Log.AccessFile != "" {
		if given.Access, err = access.Open(w.ID, r.Config.Log.AccessFormat); err != nil {
			return o, err
		}
		o.Lend(func() { unix.Close(given.Access) })
	}
	given.Fill(o)
	return o, nil
}

// front is the descriptor of the secret that a front is given; -1: the worker is none, or
// there is no memory to have one in, and fronts do not know each other.
func (b *Births) front(c *config.Config) int {
	if !c.IsProxy() {
		return -1
	}
	if b.Fronts < 0 {
		secret := make([]byte, protocol.FrontSecret)
		_, _ = rand.Read(secret) // which never fails
		if fd, err := sealed.New("gosuper-fronts", secret); err == nil {
			b.Fronts = fd
		}
	}
	return b.Fronts
}

// openOutput makes the pipes that the worker writes to.
func (b *Births) openOutput(w *roster.Worker) error {
	atMost := heldFor
	if w.ID == 1 && b.options.Fleet.Target() == 1 {
		atMost = 0
	}
	return w.Open(output.Options{
		To: b.options.Output, ID: w.ID, Apart: w.Rev.Config.Log.Workers == config.Wrapped, Owner: w.Rev.Credential,
		Held: !b.options.Fleet.EverReady(), AtMost: atMost,
	})
}
