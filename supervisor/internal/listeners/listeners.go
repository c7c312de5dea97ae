//go:build linux

// Package listeners looks after the sockets that workers accept on, and after who has them:
// those that nobody accepts on any more are closed when they are empty, what takes no more
// connections is mended, and whoever holds what was renewed is replaced.
package listeners

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/hint"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/manager"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// Options are what listeners need. All fields are required.
type Options struct {
	Log       *zap.Logger
	Loop      *loop.Loop // by which those reach the owner who wait for a file system
	Fleet     *fleet.Fleet
	Roster    *roster.Roster
	Revisions *revision.Known
	// Note keeps an event for the next step of the brain, and Step has it take one.
	Note func(fleet.Event)
	Step func(...fleet.Event)
}

// Listeners are those of one master. They belong to one goroutine. What is about sockets
// alone the keeper does from the first, and the rest is of use after [Listeners.Attach].
type Listeners struct {
	socket.Keeper `state:",inline"`

	options Options        `state:"-"`
	opening map[int]func() `state:"-"` // by slot whose addresses are being bound, who else waits for that
}

// Attach says what the listeners work with.
func (l *Listeners) Attach(o Options) { l.options = o }

// Leave prepares the retirement of a worker that has sockets which the current
// revision has not: those on which no other worker accepts any more are leaving,
// and the worker is told so.
func (l *Listeners) Leave(w *roster.Worker) {
	if !l.options.Fleet.Closed() {
		l.GiveUp(l.unserved(w.Rev.Sockets.Of(w.Slot).Without(l.wanted())))
	}
	var bits uint64
	for _, set := range l.Leaving() {
		bits |= w.Rev.Sockets.Of(w.Slot).Bits(set.Own())
	}
	if bits != 0 {
		w.View().SetLeaving(bits)
	}
}

// unserved are those of the sockets that no worker has whom nobody told to finish.
func (l *Listeners) unserved(sockets *socket.Set) *socket.Set {
	for w := range l.options.Fleet.Workers() {
		if (w.State == fleet.Starting || w.State == fleet.Ready) && !w.Spare() {
			sockets = sockets.Without(l.options.Revisions.All[w.Revision].Sockets.Of(w.Slot))
		}
	}
	return sockets
}

// LookAfter closes what nobody waits in any more, and mends what could not be
// mended before.
func (l *Listeners) LookAfter(now time.Time) {
	l.Close(now, socket.Use{Wanted: l.options.Fleet.Reloading(), Ending: l.options.Fleet.Stopping(), By: func(sockets *socket.Set) bool {
		for range l.options.Roster.Holders(sockets) {
			return true
		}
		return false
	}})
	if look := l.Look(); !look.IsZero() && !look.After(now) {
		l.MendAll()
	}
}

// MendAll looks whether the sockets of the workers still take connections, and sees to
// it that they do. ended are the workers that have just gone, one of which is to
// blame if they do not.
func (l *Listeners) MendAll(ended ...*roster.Worker) {
	if l.options.Fleet.Closed() {
		return
	}
	var ids []int
	for _, w := range ended {
		ids = append(ids, w.ID)
	}
	l.Mend(time.Now(), l.options.Revisions.Sockets(), func(renewed *socket.Set, mended []socket.Damage, err error) {
		for _, d := range mended {
			fields := []zap.Field{zap.String("bind", d.URL), zap.String("problem", d.What)}
			if len(ids) > 0 {
				fields = append(fields, zap.Ints("ended", ids))
			}
			l.options.Log.Warn("a socket that all workers share took no more connections, and does again", fields...)
		}
		if err != nil {
			l.options.Log.Error("cannot mend a socket", hint.Fields(err)...)
		}
		l.ReplaceHolders(renewed)
	})
}

// ReplaceHolders replaces the workers that were given what is renewed by now.
func (l *Listeners) ReplaceHolders(renewed *socket.Set) {
	for w := range l.options.Roster.Holders(renewed) {
		l.options.Note(fleet.Recycle{ID: w.ID, Reason: fleet.ReasonRecycle})
	}
	l.options.Step()
}

// EndPaths waits until what is to be done to the paths of sockets is done, but not for
// a file system that does not answer: for so long at most.
func (l *Listeners) EndPaths(atMost time.Duration) {
	limit := time.NewTimer(atMost)
	defer limit.Stop()
	for l.Busy() {
		select {
		case do := <-l.options.Loop.C:
			do()
		case <-limit.C:
			return
		}
	}
}

// Store has the service manager keep the sockets that the next master needs, should this
// one die, and no others. On a stop they are left to it: they are closed to new
// connections, and whoever starts next sees that. The error is that the service manager
// is busy.
func (l *Listeners) Store(m *manager.Manager) error {
	if !m.Keeps() || l.options.Fleet.Stopping() {
		return nil
	}
	err := l.Sync(m.Store, m.Remove, l.options.Revisions.Sockets()...)
	if err != nil && !errors.Is(err, manager.ErrBusy) {
		l.options.Log.Warn("the sockets would not outlive this master", zap.Error(err))
		return nil
	}
	return err
}
