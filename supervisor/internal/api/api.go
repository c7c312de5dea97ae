//go:build linux

// Package api is what people and programs ask of a master, from any goroutine but that
// which owns it. No worker is waited for.
//
// An error that is a *control.Error says what is wrong with the wish; any other means
// that the master has ended, or is that of the context.
package api

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/reloads"
	"github.com/gosuper/gosuper/supervisor/internal/report"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
	"github.com/gosuper/gosuper/supervisor/internal/upgrade"
)

// Options are the master that is asked. All fields are required.
type Options struct {
	Log    *zap.Logger
	Loop   *loop.Loop     // by which the owner is reached
	Report *report.Report // what the owner knows
	Scales *scales.Scales
	// Upgrades tell those who wait how the next one goes.
	Upgrades *upgrade.Upgrades
	// What follows is called by the owner. Step has the brain take a step, and the others
	// do what a signal asks for, too.
	Step    func(...fleet.Event)
	Reload  func(who ...*reloads.Waiter)
	Stop    func(quick bool)
	Upgrade func()
}

// API is that of one master.
type API struct{ options Options }

var _ admin.Source = (*API)(nil)

// New returns the API of a master.
func New(o Options) *API { return &API{o} }

// Ended is closed when the master has given back all that it held.
func (a *API) Ended() <-chan struct{} { return a.options.Loop.Ended() }

// statusTurn is for how long the owner reads the boards of workers in one go, for
// whoever wants to know which requests are in flight.
const statusTurn = time.Millisecond

// Status says what runs, with the requests in flight if they are wanted.
func (a *API) Status(ctx context.Context, withRequests bool) (control.Status, error) {
	var st control.Status
	var rest []control.Worker // whose requests are not known yet
	read := func() {
		for begin := time.Now(); len(rest) > 0 && time.Since(begin) < statusTurn; rest = rest[1:] {
			if w := a.options.Report.Roster.Of(rest[0].ID); w != nil { // it is not gone meanwhile
				st.Requests = append(st.Requests, w.Requests()...)
			}
		}
	}
	err := a.options.Loop.Do(ctx, func() {
		st = a.options.Report.Status(time.Now())
		if withRequests {
			st.Requests, rest = []control.Request{}, st.Workers
		}
		read()
	})
	for err == nil && len(rest) > 0 {
		err = a.options.Loop.Do(ctx, read)
	}
	if err == nil {
		scales.Fill(&st, a.options.Scales.Weigh)
	}
	return st, err
}

// Health says whether the master serves.
func (a *API) Health(ctx context.Context) (h control.Health, err error) {
	err = a.options.Loop.Do(ctx, func() { h = a.options.Report.Health(time.Now()) })
	return h, err
}

// Metrics returns the figures of a scrape.
func (a *API) Metrics(ctx context.Context) (m admin.Metrics, err error) {
	err = a.options.Loop.Do(ctx, func() { m = a.options.Report.Metrics(time.Now()) })
	if err == nil {
		scales.Fill(&m.Status, a.options.Scales.Recall)
	}
	return m, err
}

// Incidents returns the last ends of workers that nobody asked for, or that had to
// be forced.
func (a *API) Incidents(ctx context.Context) (found control.Incidents, err error) {
	err = a.options.Loop.Do(ctx, func() { found = a.options.Report.Books.Incidents(time.Now()) })
	return found, err
}

// History is the picture of the last hour.
func (a *API) History(ctx context.Context) (h control.History, err error) {
	err = a.options.Loop.Do(ctx, func() { h = a.options.Report.Books.History(time.Now()) })
	return h, err
}

// Upgraded is how the last upgrade went.
func (a *API) Upgraded(ctx context.Context) (u control.Upgrade, err error) {
	err = a.options.Loop.Do(ctx, func() { u = a.options.Upgrades.Last() })
	return u, err
}
