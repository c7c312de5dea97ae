// Package limit has the limits of single requests: it ends one whose time is over, and
// has the board say how far each has got.
package limit

import (
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A Phase is how far a request has got. It only ever grows until the request is over.
type Phase uint64

const (
	Idle      Phase = iota // no request
	Waiting                // nothing final is known, nothing final was sent
	Committed              // the handler has given its final header, still unsent
	Streaming              // part of a final response was sent
	Upgraded               // the handler has taken over the connection
	Answered               // ended by an answer at its deadline
	Cut                    // ended without one
)

// Ended reports whether the request was ended at its deadline.
func (p Phase) Ended() bool { return p >= Answered }

// Running reports whether there is a request, which was not ended.
func (p Phase) Running() bool { return p >= Waiting && p <= Upgraded }

// flags are what the board says of a phase.
func (p Phase) flags() scoreboard.Flags {
	switch p {
	case Streaming:
		return scoreboard.Streaming
	case Upgraded:
		return scoreboard.Upgraded
	}
	return 0
}

// An Ender ends a request whose time is over, once.
type Ender interface {
	// End ends it by an answer or a cut, as told. It is called on a goroutine of its
	// own, and [Watch.Wait] waits for it. The function that it returns, if any, is
	// called afterwards, when nobody waits any more.
	End(by Phase) (then func())
	// Account accounts for the request. It is called after End, unless the handler has
	// returned already.
	Account()
}
