//go:build linux

package socket

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
