//go:build linux

package socket

import (
	"errors"
	"fmt"
	"slices"
)

// Open returns the set of these addresses. Sockets with the same address in one of the held sets (nil ones are
// allowed) are taken over; the others are bound, but do not listen before [Set.Listen], so that nobody is let
// into a queue that no worker may ever empty. On an error nothing has changed: what was newly bound is closed,
// the held sets are as they were. The error is an [*Error].
//
// A held set that was quiesced and gave a socket away must forget it: held = held.Without(opened).
func Open(addresses []Address, o Options, held ...*Set) (*Set, error) {
	return OpenAll(Addresses{Shared: addresses}, o, held...)
}

// OpenAll is [Open] for addresses that slots have of their own as well.
func OpenAll(a Addresses, o Options, held ...*Set) (*Set, error) {
	return newOpening(o).open(a, held)
}

// An opening is the state of one Open.
type opening struct {
	options Options
	socket  func(family int) (int, error)
	held    []entry
	set     *Set
}

func newOpening(o Options) *opening { return &opening{options: o, socket: newSocket} }

func (op *opening) open(a Addresses, held []*Set) (*Set, error) {
	for _, s := range held {
		op.held = append(op.held, s.all()...)
	}
	op.set = op.options.newSet()
	for _, a := range a.all() {
		l, err := op.listener(a.Address)
		for err != nil && op.again(failed(a.Address, err)) {
			l, err = op.listener(a.Address)
		}
		if err != nil {
			// Why the address was refused is what the user has to know; closing has nothing to add.
			_ = op.set.Without(&Set{entries: op.held}).Close()
			return nil, failed(a.Address, err)
		}
		op.set.entries = append(op.set.entries, entry{address: a.Address, name: op.name(a.Address), slot: a.slot, listener: l})
	}
	return op.set, nil
}

// name is what systemd calls the socket that it passed; "": it did not pass this one.
func (op *opening) name(a Address) string {
	for _, e := range op.held {
		if a.kind == passed && e.address == a {
			return e.name
		}
	}
	return ""
}

// again says whether to try once more after an error, which may take its time.
func (op *opening) again(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Taken && op.options.Again != nil && op.options.Again(e)
}

// unlimited is a backlog above every net.core.somaxconn in use; listen(2) cuts it to that.
const unlimited = 1<<16 - 1

func (o Options) newSet() *Set {
	if o.Backlog <= 0 {
		o.Backlog = unlimited
	}
	return &Set{options: o}
}

func (op *opening) listener(a Address) (*listener, error) {
	choose := a.kind == tcp && a.port == 0 // each of them is another socket, so it may be listed twice
	for _, e := range op.set.entries {
		if e.address == a && !choose {
			return nil, &Error{Address: a.String(), Err: errors.New("the address is listed twice"), Hint: "leave one of them out"}
		}
	}
	for _, e := range op.held {
		if e.address == a && op.free(e.listener) {
			return e.listener, nil
		}
	}
	switch a.kind {
	case local:
		return op.openPath(a)
	case passed:
		return op.openPassed(a)
	}
	return op.openTCP(a)
}

// free reports whether l, which a held set has, can be in the new set.
func (op *opening) free(l *listener) bool {
	return l.usable() && !slices.ContainsFunc(op.set.entries, func(e entry) bool { return e.listener == l })
}

func (op *opening) openPassed(a Address) (*listener, error) {
	for _, e := range slices.Concat(op.held, op.set.entries) {
		if e.fd == a.fd {
			return nil, &Error{Address: a.String(), Err: fmt.Errorf("descriptor %d is this master's own socket %s", a.fd, e.url)}
		}
	}
	return adopt(a.fd)
}

// A Plan is an [Open] in three steps. Whoever owns the held sets makes the plan and takes the result; what may take
// long, looking up a host name or binding a path on a file server that does not answer, any goroutine may do in
// between, while the owner goes on using the sets.
type Plan struct {
	addresses Addresses
	op        *opening                // knows copies of the held sockets, as they were
	originals map[*listener]*listener // of the copies
}

// NewPlan begins an [OpenAll] with the same arguments. None of the held sockets may be one that a master before this one
// left, see [Inherit].
func NewPlan(addresses Addresses, o Options, held ...*Set) *Plan {
	p := &Plan{addresses: addresses, op: newOpening(o), originals: map[*listener]*listener{}}
	copies := map[*listener]*listener{}
	for _, s := range held {
		for _, e := range s.all() {
			if copies[e.listener] == nil {
				copied := *e.listener
				copies[e.listener], p.originals[&copied] = &copied, e.listener
			}
			e.listener = copies[e.listener]
			p.op.held = append(p.op.held, e)
		}
	}
	return p
}

// Bind binds what none of the held sets had. On an error, an [*Error], nothing is left bound. It is called once.
func (p *Plan) Bind() error {
	_, err := p.op.open(p.addresses, nil)
	return err
}

// Take returns the set. It is nil if a socket that was to be taken over has been closed since; the plan is then to be
// closed, and another one made.
func (p *Plan) Take() *Set {
	set := p.op.options.newSet()
	for _, e := range p.op.set.entries {
		if original, taken := p.originals[e.listener]; taken {
			if e.listener = original; !original.usable() {
				return nil
			}
		}
		set.entries = append(set.entries, e)
	}
	return set
}

// Close closes what was bound, if it was not taken.
func (p *Plan) Close() error { return p.op.set.Without(&Set{entries: p.op.held}).Close() }
