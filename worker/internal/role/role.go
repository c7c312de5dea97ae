// Package role has what a program is before it says so itself. It imports nothing, so
// that it is initialised before all others that matter.
package role

// Plain programs are no workers until they call package worker. It is set, if at all,
// before that package is initialised.
var Plain bool
