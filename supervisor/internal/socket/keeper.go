//go:build linux

package socket

import (
	"slices"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
)

// A Keeper looks after the sockets of a master beside those that are in force: what the service manager passed and what
// it stores, which sockets are about to be closed, and what has to be mended. It belongs to the owner of the sets, and
// waits for nothing that may take long.
type Keeper struct {
	passed  *Set       `state:"activated"` // by socket units; nil: nothing was
	stored  *Set       `state:"stored"`    // in the descriptor store
	leaving []*Leaving `state:"leaving_sets"`

	renewed time.Time `state:"-"` // when a unix socket was renewed last
	again   time.Time `state:"-"` // when to look again whether one has to be; zero: when something happens

	paths *Paths `state:"-"`
}

// Leaving are sockets that will be closed as soon as nobody waits in their queues. Those that are given up at one time
// are looked at together.
type Leaving struct {
	Sockets *Set      `state:"set"`
	Since   time.Time `state:"since"`
	Look    time.Time `state:"look"` // when to look at the queues next
}

// How long sockets are given to be accepted empty after new connections were kept away from them: at least for as long
// as a worker has found them empty when it closes them, and for at most leaveAtMost.
const (
	leaveAtLeast = protocol.QuietQueue
	leaveAtMost  = 5 * time.Second
	leaveLook    = 250 * time.Millisecond
)

// renewPause is how long after one renewal of a unix socket another has to wait: to each of them belongs the
// replacement of all processes that hold the old one.
const renewPause = 10 * time.Second

// Work gives the keeper what it works with.
func (k *Keeper) Work(p *Paths) { k.paths = p }

// Paths is what [Keeper.Work] gave.
func (k *Keeper) Paths() *Paths { return k.paths }

// First opens the first set. Sockets that socket units passed win over the addresses. Those that a master before this
// one left in the descriptor store are as good as bound: with what waits in their queues they are taken where an
// address is the same, and closed otherwise. addresses is asked when it is known what was passed, if anything was.
func (k *Keeper) First(environ []string, o Options, addresses func(passed *Set) (Addresses, error)) (*Set, error) {
	passed, stored, err := Inherit(environ, o)
	if err != nil {
		return nil, err
	}
	all, err := addresses(passed)
	if err != nil {
		return nil, err
	}
	opened, err := OpenAll(all, o, stored, passed)
	if err != nil {
		return nil, err
	}
	k.passed, k.stored = passed, stored
	if stored != nil {
		k.paths.check("cannot close what is not wanted of the descriptor store", stored.CloseUntaken(opened))
		k.paths.check("cannot change who may connect", opened.Claim(o))
	}
	return opened, nil
}

// Passed are the sockets of socket units, which win over all addresses; nil: there are none.
func (k *Keeper) Passed() *Set { return k.passed }

// Leaving are the sockets that are about to be closed.
func (k *Keeper) Leaving() (sets []*Set) {
	for _, l := range k.leaving {
		sets = append(sets, l.Sockets)
	}
	return sets
}

// Join adds sockets that are leaving already.
func (k *Keeper) Join(l *Leaving) { k.leaving = append([]*Leaving{l}, k.leaving...) }

// GiveUp keeps new connections away from the sockets and has them closed soon, beside those that are leaving already.
func (k *Keeper) GiveUp(sockets *Set) {
	if sockets = k.staying(sockets); sockets.Len() == 0 {
		return
	}
	k.paths.Quiesce(sockets)
	now := time.Now()
	k.leaving = append(k.leaving, &Leaving{Sockets: sockets, Since: now, Look: now.Add(leaveAtLeast)})
}

// staying are those of the sockets that are not leaving.
func (k *Keeper) staying(sockets *Set) *Set {
	for _, l := range k.leaving {
		sockets = sockets.Without(l.Sockets)
	}
	return sockets
}

// Want keeps sockets that are leaving, or are not.
func (k *Keeper) Want(sockets *Set) {
	k.leaving = slices.DeleteFunc(k.leaving, func(l *Leaving) bool {
		l.Sockets = l.Sockets.Without(sockets)
		return l.Sockets.Len() == 0
	})
}

// Enforce has the shared ones of the sockets listen, and all be for whom the options say. renewed is that of [Paths.Listen].
func (k *Keeper) Enforce(sockets *Set, o Options, renewed func(*Set)) error {
	k.Want(sockets)
	err := k.paths.Listen(sockets.Shared(), renewed) // the others when there is a worker of their slot
	k.paths.Claim(sockets, o)
	return err
}

// Listen has the sockets listen. renewed is that of [Paths.Listen].
func (k *Keeper) Listen(sockets *Set, renewed func(*Set)) error {
	return k.paths.Listen(sockets, renewed)
}

// Drop closes those of the sockets that are not leaving, and that none of the others has.
func (k *Keeper) Drop(sockets *Set, others []*Set) {
	sockets = k.staying(sockets)
	for _, other := range others {
		sockets = sockets.Without(other)
	}
	k.paths.CloseForAll(sockets)
}

// Use is what is made of the sockets now.
type Use struct {
	Wanted bool            // a rollback may still want back what is leaving
	Ending bool            // the end is near, which closes what nobody waits in for all who may hold a copy
	By     func(*Set) bool // whether a process has one of them that may still accept
}

// Close closes the sockets that are leaving once their queues are empty.
func (k *Keeper) Close(now time.Time, in Use) {
	k.leaving = slices.DeleteFunc(k.leaving, func(l *Leaving) bool {
		if l.Look.After(now) {
			return false
		}
		waiting := l.Sockets.Queue() > 0
		switch {
		case in.Wanted || waiting && now.Sub(l.Since) < leaveAtMost:
			l.Look = now.Add(leaveLook)
			return false
		case in.Ending && !waiting:
			l.Look = now.Add(time.Hour)
			return false
		case !waiting && in.By(l.Sockets):
			k.paths.Close(l.Sockets) // to the event loop of a worker that drains the other is an error
		default:
			k.paths.CloseForAll(l.Sockets)
		}
		return true
	})
}

// Mend sees to it that the sockets take connections: see [Set.Mend] and [Paths.Renew]. told is called with what was
// mended, now and when that has taken its time; renewed are unix sockets that were replaced.
func (k *Keeper) Mend(now time.Time, sets []*Set, told func(renewed *Set, mended []Damage, err error)) {
	k.again = time.Time{}
	for _, s := range sets {
		if mended, err := s.Mend(); len(mended) > 0 || err != nil {
			told(nil, mended, err)
		}
	}
	if next := k.renewed.Add(renewPause); now.Before(next) {
		k.again = next
		return
	}
	k.paths.Renew(sets, func(renewed *Set, damages []Damage, err error) {
		if renewed.Len() > 0 {
			k.renewed = time.Now()
			k.again = k.renewed.Add(renewPause) // those that are replaced now may do the same
		}
		told(renewed, damages, err)
	})
}

// Look says when there is to be another [Keeper.Mend]; zero: when something happens.
func (k *Keeper) Look() time.Time { return k.again }

// Due is when to call Close or Mend next; zero: there is no need to.
func (k *Keeper) Due() time.Time {
	next := k.again
	for _, l := range k.leaving {
		if next.IsZero() || l.Look.Before(next) {
			next = l.Look
		}
	}
	return next
}

// Sync brings the descriptor store in line with the wanted sets: see [Set.Sync].
func (k *Keeper) Sync(keep func(name string, fd int) error, drop func(name string) error, wanted ...*Set) (err error) {
	k.stored, err = k.stored.Sync(keep, drop, wanted...)
	return err
}

// End closes all of these and what is leaving, but leaves to the next master what is in the descriptor store.
func (k *Keeper) End(sets []*Set) {
	for _, s := range slices.Concat(sets, k.Leaving()) {
		k.paths.CloseForAll(s.Without(k.stored))
		k.paths.Close(s)
	}
}

// Busy says whether something about a path is not done yet.
func (k *Keeper) Busy() bool { return k.paths.Busy() }

// Do is [Paths.Do].
func (k *Keeper) Do(beside, then func()) { k.paths.Do(beside, then) }
