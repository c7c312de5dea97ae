//go:build linux

// Package handover passes what a master knows and holds from one image of its
// process to the next: an upgrade in place.
//
// The old image writes its state as JSON into sealed memory and execs the new
// one, with the same pid and so with the same children. Descriptors keep their
// numbers, which are in the state; they stay open because FD_CLOEXEC is taken
// from them just before, and is set again if the exec fails. The first variable
// of the new image's environment tells it where the state is.
//
// # Versions
//
// [Version] rises only when an older reader would misunderstand what is written.
// What is merely new it does not know and leaves out, and what an older writer
// did not write it finds absent, so that both directions work. Descriptors of
// which a reader knows nothing are in a list of their own, to be closed.
//
// # Signals
//
// What was delivered and not handled goes along. What comes in the moment of the
// exec is dropped, but must not be fatal. An exec resets handlers and keeps what
// is ignored or blocked. Go's runtime unblocks HUP, INT, QUIT and TERM before it
// installs handlers, and os/signal does so with all others, of which TTIN and TTOU
// would then stop the process: these six are ignored over the exec. USR1 and USR2
// are blocked, and wait, unless another thread of the old image still takes them.
// For TERM and QUIT the runtime installs its own handlers, which end the process,
// however they were inherited; package shim, which initialises before everything
// else, has them ignored again, some ten microseconds later. This package's own
// init has all of them delivered to [Early].
package handover
