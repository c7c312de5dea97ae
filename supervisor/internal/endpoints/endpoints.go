//go:build linux

// Package endpoints is where a master is asked and told things: its control socket,
// and its admin listeners, with the servers on them.
//
// The control socket is one, and moves when a configuration wants it elsewhere. An
// admin listener belongs to a configuration as the sockets of the workers do: the set
// is bound with it, is opened when it is accepted, and is closed when no worker of it
// can be wanted any more. So during a rollout the old address still answers, and a
// rollback finds it as it was.
//
// All of them can be paused: who comes then waits in the queue of the kernel for
// whoever goes on with the sockets, be it the next image of the process.
package endpoints

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// AnswerTime is how long those who are being answered may keep an ended master.
const AnswerTime = 500 * time.Millisecond

// Options are what endpoints need. All fields are required.
type Options struct {
	// Loop is that of their owner.
	Loop *loop.Loop
	// Master is who is asked, from any goroutine.
	Master admin.Source
	// Log gets what does not work, and the addresses of admin listeners.
	Log *zap.Logger
	// Paths removes what is left of sockets that are given up while the master goes on.
	Paths *socket.Paths
	// Environ decides where an automatic control socket is.
	Environ []string
}

// Endpoints are those of one master, closed at first. They belong to one goroutine,
// and are of use after [Endpoints.Attach].
type Endpoints struct {
	options Options `state:"-"`

	server  *control.Server `state:"-"` // on the control socket; nil: it is not answered
	control *ControlSocket  `state:"control"`

	admin     *admin.Server          `state:"-"` // nil: no admin listener was ever opened
	listeners map[int]*adminListener `state:"-"` // by descriptor
}

// New returns endpoints that are closed.
func New() *Endpoints { return &Endpoints{listeners: map[int]*adminListener{}} }

// Attach says what the endpoints work with.
func (e *Endpoints) Attach(o Options) { e.options = o }

// Pause has nobody answered any more: who comes waits in the queues. over is closed
// when those have their answers who were being answered, or soon.
func (e *Endpoints) Pause() (over <-chan struct{}) {
	var ended []<-chan struct{}
	for _, l := range e.listeners {
		ended = append(ended, l.endpoint.Close())
		l.endpoint = nil
	}
	if e.control != nil {
		e.control.listener.Close()
	}
	server, paused := e.server, make(chan struct{})
	go func() {
		defer close(paused)
		ctx, cancel := context.WithTimeout(context.Background(), AnswerTime)
		defer cancel()
		if server != nil {
			server.Shutdown(ctx)
		}
		for _, one := range ended {
			select {
			case <-one:
			case <-ctx.Done():
			}
		}
	}()
	return paused
}

// Unpause undoes Pause.
func (e *Endpoints) Unpause() {
	for _, l := range e.listeners {
		if l.endpoint == nil {
			e.serveAdmin(l)
		}
	}
	if e.control == nil || e.server == nil {
		return
	}
	e.Resume()
	e.Serve()
}

// Finish lets those have their answers who are waiting for the end of the master, for
// [AnswerTime] at most.
func (e *Endpoints) Finish() {
	if e.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), AnswerTime)
	defer cancel()
	e.server.Shutdown(ctx)
}

// listenerOf makes a listener of a copy of the descriptor.
func listenerOf(fd int) (net.Listener, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot copy a listening socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	return net.FileListener(file)
}
