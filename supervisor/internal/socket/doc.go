//go:build linux

// Package socket owns the listening sockets that the workers accept from.
//
// The master binds, never accepts. Every worker inherits the same sockets, that is the same open file
// descriptions, and the kernel hands each connection to whoever accepts first. Two things follow, and most of
// this package is about them:
//
//   - O_NONBLOCK and the backlog belong to the socket, not to a process. A worker that clears the one or calls
//     listen with another backlog does it to the whole fleet. [Set.Reapply] puts both back.
//   - So does shutdown(2), and the path of a unix socket is one for all who may write to its directory. [Set.Mend] and
//     [Paths.Renew] put right what a worker did to the others.
//   - Descriptors are raw numbers here and for the callers. An *os.File would clear O_NONBLOCK for everybody
//     the moment somebody calls its Fd method, and os.StartProcess does.
//
// A [Set] is the sockets in force, in the order of the configuration. It is never changed; a reload opens the next
// one, which takes over the sockets whose address stays and binds the new ones, or fails and leaves
// everything as it was. The difference of two sets, [Set.Without], is what is closed afterwards: the sockets that
// leave, or, after a rollback, those that had come.
//
// Sockets outlive a master that dies in the descriptor store of the service manager, which [Set.Sync] keeps in line with
// what is bound; the next master finds them by [Inherit].
//
// Sockets are made by hand instead of by net.Listen, which makes MPTCP sockets since Go 1.24 (those refuse
// SO_ATTACH_REUSEPORT_CBPF and hide what TCP_INFO knows of the queue) and which cannot bind without listening.
//
// Nothing here is safe for concurrent use: the supervisor's loop owns the sets. What may take long it leaves to others,
// see [Plan] and [Paths].
package socket
