//go:build linux

package endpoints

import (
	"net"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// adminOptions: nobody but the master's user may connect to a unix socket.
var adminOptions = socket.Options{Mode: 0o600, Backlog: 128}

// adminListener is a socket on which the admin server answers.
type adminListener struct {
	set      *socket.Set // it is in this
	fd       int
	url      string
	rights   admin.Rights
	endpoint *admin.Endpoint // nil: it is paused
}

// BindAdmin binds the admin address of a configuration; nil: it has none.
func BindAdmin(c *config.Config) (*socket.Set, error) {
	plan, err := PlanAdmin(c)
	if err != nil || plan == nil {
		return nil, err
	}
	if err := plan.Bind(); err != nil {
		return nil, err
	}
	return plan.Take(), nil
}

// PlanAdmin plans to bind the admin address of a configuration, or to take it over
// from those that are held; nil: it has none.
func PlanAdmin(c *config.Config, held ...*socket.Set) (*socket.Plan, error) {
	if c.Admin.Bind == "" {
		return nil, nil
	}
	address, err := socket.Parse(c.Admin.Bind)
	if err != nil {
		return nil, err
	}
	return socket.NewPlan(socket.Addresses{Shared: []socket.Address{address}}, adminOptions, held...), nil
}

// OpenAdmin answers on the sockets of a set, to those who come from now on with the
// rights that the configuration gives.
func (e *Endpoints) OpenAdmin(set *socket.Set, c *config.Config) {
	rights := admin.See
	if c.Admin.Actions {
		rights = admin.Act
	}
	for i, fd := range set.Fds(0) {
		l := e.listeners[fd]
		if l == nil {
			l = &adminListener{set: set, fd: fd, url: set.URLs()[i]}
		}
		l.rights = rights
		if l.endpoint != nil {
			l.endpoint.Grant(rights)
			continue
		}
		e.serveAdmin(l)
	}
}

// serveAdmin begins to answer on a listener.
func (e *Endpoints) serveAdmin(l *adminListener) {
	listener, err := l.listen()
	if err != nil {
		e.options.Log.Error("cannot open the admin listener", zap.Error(err))
		return
	}
	if e.admin == nil {
		e.admin = admin.New(e.options.Master, zap.NewStdLog(e.options.Log))
	}
	l.endpoint = e.admin.Serve(listener, l.rights)
	e.listeners[l.fd] = l
	e.options.Log.Info("admin listener", zap.String("url", l.url))
}

func (l *adminListener) listen() (net.Listener, error) {
	if err := l.set.Listen(); err != nil {
		return nil, err
	}
	return listenerOf(l.fd)
}

// CloseAdmin closes those of the sockets that none of the others has.
func (e *Endpoints) CloseAdmin(set *socket.Set, others ...*socket.Set) {
	for _, other := range others {
		set = set.Without(other)
	}
	for _, fd := range set.Fds(0) {
		if l := e.listeners[fd]; l != nil && l.endpoint != nil {
			l.endpoint.Close()
		}
		delete(e.listeners, fd)
	}
	e.options.Paths.Close(set)
}
