//go:build linux

// Package incidents is what a master remembers of the ends that nobody asked for.
//
// An [Incident] is made for each worker that died, had to be killed or was replaced for
// a fault, and for each loader that failed. It says why, what the process wrote last, and
// which requests it held. Those are read from the board of the dead worker (see [Held]),
// which may hold anything: texts are printable and bounded, times are no longer than the
// worker lived, and there are no more than a board has room for.
//
// [Incidents] are the last of them. What is kept is bounded as a whole, too, so that
// workers which die again and again, with all that they can make be remembered, do not
// fill the memory of the master: the older ones give up most of their requests and their
// stacks first.
package incidents
