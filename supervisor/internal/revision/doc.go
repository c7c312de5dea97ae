//go:build linux

// Package revision makes of a configuration what it means on this machine at this
// moment.
//
// [Resolve] finds out what the command is, whom it runs as, how many workers "auto"
// means and which limits they have. A [Binding] is the rest, which may take long: its
// sockets, and whether its files can be written. What there is then is a [Revision],
// which says of its workers what others need to know: what to bind, what the brain has
// to heed, how a process of it is made. [Known] are those that workers have or may get.
//
// Nothing of a revision changes once there is one, but what was said about it.
package revision
