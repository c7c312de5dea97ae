//go:build linux

// Package proxy is the worker class "proxy": a worker that serves HTTP itself, the front,
// and forwards to a program behind it, which listens on a port or a unix socket and knows
// nothing else.
//
// The front is the gosuper binary. A process of it whose argv[0] is [Name] becomes one
// while this package is initialised, and never gets to the command line, the logger and
// the metrics of the master: this package comes before most of what those need. In every
// other process the initialisation does nothing.
//
// # The program
//
// It runs in the session and the process group of the front, so that the memory, the
// output and the end of a worker are those of both, and dies with the front. Where it
// listens it is told by the placeholder {port}, with PORT in its environment, or by
// {socket}. The port is held by a socket of the front that never listens, so that nobody
// else is given it, on 127.0.0.1: a program that asks for "localhost" may be on [::1]. The
// unix socket is in a folder that only its user may enter. The front accepts, and says
// READY=1, once the program accepts a connection, or answers a path of its choice with 2xx.
//
// By sd_notify(3) it may report what only it knows: X_GOSUPER_RECYCLE, which asks for a
// replacement of the worker, STATUS and EXTEND_TIMEOUT_USEC. NOTIFY_SOCKET is the front's
// own, which passes these on; READY, STOPPING and WATCHDOG are accepted and say nothing,
// since the front looks for itself.
//
// The end of the program is that of the worker, with the same status. Requests that it
// held get 502, unless something of their answer was sent. Where the master may start
// another front before this one is gone it is told to, by X_GOSUPER_FAILED, and requests of
// which the program has got nothing are handed on, once: to the address that they came to,
// where another worker accepts, or the new one will. That one forwards what this front has
// said of the client: fronts of one master know each other by a secret, which the master
// gives to them alone. When the worker drains, the program gets its stop signal after the
// last answer.
//
// # Requests
//
// All limits are those of package worker, which serves. A request whose limit is over has
// its 504 from there, and its connection to the program is closed. The handler does not
// return before the program has shown a sign of life, so that the master finds a program
// whose event loop is blocked as it finds any stuck worker.
//
// A connection that the program has closed meanwhile is replaced by a fresh one as long as
// the program has got not one byte of the request, also if bytes went into the connection
// just when it was closed: on TCP the kernel tells. Nothing that the program may have got is
// ever sent again. Bodies above 2 KiB, which are not kept, go over fresh connections, which
// nobody closes.
package proxy
