//go:build linux

// Package loader is the master's side of the loader protocol, the text of which is in
// package protocol: a [Loader] is asked for workers, which it makes by fork, one after
// the other, and [Message] is what is heard of it and of them.
//
// What arrives is hostile until parsed, and there may be any amount of it: reading is
// paced as in package notify, and the sender waits. A message is believed by its number
// alone, which only the one request has that is not answered; which process it comes
// from is what the kernel says, and whether that may be the worker is decided by who
// knows the children of this process.
//
// Nothing here waits: the socket of a loader that does not read takes one request, and
// no other is sent before that is answered.
package loader
