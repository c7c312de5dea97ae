// Package plain makes a program that imports it a plain worker, although package worker
// is among what it links, until it calls that: it takes nothing of what it is given, and
// the board stays without a header. It is for programs that are workers in some of their
// roles only, and for masters, whose own master should not believe that it sees their
// requests:
//
//	import _ "github.com/gosuper/gosuper/worker/plain"
//
// This package needs no other one that takes part in the order in which packages are
// initialised, and so comes before package worker, which needs many.
package plain

import "github.com/gosuper/gosuper/worker/internal/role"

func init() { role.Plain = true }
