//go:build linux

// Package supervisor is the master: one loop that owns all state, and the hands
// that do what the brain decides.
//
//	questions ┐
//	signals ──┤
//	exits ────┤   one goroutine     pure decision   ┌─> spawn / signal / log
//	workers ──┼─> Supervisor.Run ─> fleet.Step ─────┤
//	timer ────┘                                     └─> the next deadline
//
// # The loop
//
// [Supervisor.Run] waits in a single select for signals, messages of workers,
// questions of other goroutines and the one timer. Each becomes an event for
// the brain in package fleet, and each action the brain answers with is
// performed before the next event is looked at. Nothing else touches the
// state, so there is no lock around it: who wants to know or change something
// has the loop do it between two events. Only the memory of the workers, which takes
// long to measure, is kept beside it, by those who ask, and has a lock of its own.
//
// Processes are made on the main thread, and so is the exec of an upgrade, because
// that is the thread whose end the kernel tells the workers about (PR_SET_PDEATHSIG),
// and the only one that outlives an exec. The kernel keeps it until the child has
// become another program, so it belongs to the main goroutine, which does that work
// and nothing else, and tells the loop what came of it.
//
// Nothing that the loop does waits for a file system, a name server, a reader or a
// process that starts.
// What may have to is done by other goroutines, which bring their results to the
// loop (package loop): a reload is prepared (package reloads), the master's own files
// are moved and opened anew (package ownfiles), the paths of sockets are made and
// removed (package socket), the limits of the machine are read (package limits), the kernel
// is asked whom it killed (package scales), and what workers left behind is looked at (package
// leftovers) beside it.
//
// # Rooms
//
// What the master knows and holds is in rooms, packages below internal that know no
// master and are tested without one: what a configuration means and has to bind
// (revision), what a process is given (outfit) and writes (output), which the log waits
// for (logorder), and how it is made (birth), who works (roster), what workers say and
// show (signs), whom they are forked from (preload), the memory they share (boards), to
// which limits they are held (limits), by who looks for requests that do not end
// (guard) and at what they weigh (scales), how they ended (postmortem) and what they
// leave behind (leftovers, groups), what is counted (books), remembered of those that
// died (incidents), as files too (archive), and said of all that (report), what people
// and programs ask (api) and where (endpoints), the files that the master writes itself
// (ownfiles), the sockets of the workers (socket) and who has them (listeners), which
// signals come (signals), which reload counts (reloads), how the service manager is
// told (manager), what a developer has edited (develop) and what to do about an error
// (hint).
// What is left to this package is to bring them together: what they find becomes an event
// for the brain, and what that decides is done by them (perform.go).
//
// # Workers
//
// A worker is on the roster (package roster) before it has a process. Its outfit is put
// together, which is an environment and descriptors as data, and then its process is
// born: it is made by the main goroutine, or by another process, and the loop is told
// the pid later (package birth). A worker that is to finish before that is given up at
// once, since nothing of it has run, and one whose end the kernel tells first ended as
// it did.
//
// With preload that other process is the loader of the worker's revision (package
// preload): the brain says when there is to be one.
//
// # Configurations
//
// A configuration that passed validation becomes a revision: with its command
// and folder resolved, its user looked up and its addresses bound. The brain
// decides whether a revision is tried, accepted or given up; its sockets begin
// to listen just before its first worker is made, and those that only older
// revisions have are closed when the last of their workers was told to drain.
//
// # Upgrades
//
// A master can become another version of itself: everything that it knows and
// holds is written down as the tags of the fields say (package state), and package
// handover passes that to the next image of the process. Before the exec all other
// goroutines come to a standstill in which nothing is in their hands, or the
// upgrade is refused (package standstill); the next image opens again what has descriptors.
//
// # Trust
//
// No request passes through this process. Workers accept on the shared
// sockets and report by a page of shared memory and a socket of their own; what
// they say is never trusted further than their own life.
package supervisor
