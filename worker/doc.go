// Package worker turns a Go server into a worker of gosuper that never drops a
// request. It needs one call in the server:
//
//	if err := worker.ListenAndServe("127.0.0.1:8000", handler); err != nil {
//		log.Fatal(err)
//	}
//
// Under gosuper the server answers on the sockets it inherits; the address is not
// used. Run alone, the same program serves the address and stops gracefully on
// SIGTERM and SIGINT. Under systemd's socket activation it serves the sockets that
// systemd passes.
//
// # What the master learns
//
// While it is initialised, the package writes the header of the shared memory described
// in package scoreboard, and does nothing else: the master knows a cooperating worker
// within its first milliseconds, however long main takes to load, and a program that
// only links the package keeps what it is given, for another use. What it is told is
// remembered, so a program may take its sockets by itself, and call [Ready] afterwards.
// One that imports package plain too writes the header no sooner than it calls this one.
//
// The first call of any function takes the rest of what package protocol describes. It
// sets close-on-exec on the descriptors and unsets the variables that name descriptors
// and limits, so that no child that is started from then on takes them for its own;
// GOSUPER_WORKER_ID, GOSUPER_SLOT, GOSUPER_PLACE and GOSUPER_GENERATION stay readable.
// A program that has children before it serves calls [Draining] before that. Requests
// and connections are counted on the board, readiness and the wish to be recycled are
// reported. A request costs a quarter of a microsecond on a processor of today and, over
// HTTP/1, one allocation of 96 bytes.
//
// Small reads and writes of its connections are system calls that Go's scheduler is not
// told of, on Linux: with short requests this saves a tenth of the processor time.
// GOSUPERDEBUG=direct=0 in the environment of a worker leaves them to package net.
//
// # Limits
//
// The master sets limits on single requests, and this package ends a request that
// exceeds one, alone: timeout bounds the time without progress before the response
// has begun, stream_timeout the same afterwards, upgrade_timeout the silence on a
// hijacked connection, and request_timeout the whole. Progress is what the client
// takes, a flushed write, and what it sends, a byte of the body. At the deadline
//
//   - the request's context is cancelled, with http.ErrHandlerTimeout as the cause;
//   - where nothing of a final response was sent, the client gets 504 with
//     Retry-After, and over HTTP/1 the connection closes. Over HTTP/2 the answer has
//     no body, and a response that the handler has begun to write is reset even if
//     net/http still holds it back;
//   - where something was sent, the client sees the response break: the connection
//     is closed, or reset where its end would pass for the end of the response, and
//     over HTTP/2 the stream is reset while the others of the connection go on (a
//     unix socket cannot be reset: have the proxy on it speak HTTP/1.1, where the
//     end of a response is marked);
//   - what the handler writes from then on fails with http.ErrHandlerTimeout.
//
// The request is counted and written to the access log then, once and for all. Its
// handler cannot be ended. While that goes on, the board shows it, and the master
// replaces a worker in which one does so for long. A handler need do nothing for all
// this, but should return when its context is cancelled. [Begin] puts requests of other
// protocols under the same limits.
//
// Run alone, a program has no such limits.
//
// What a handler is given lasts as long as its request. A goroutine that it leaves
// behind, or that goes on after a deadline, gets errors from the http.ResponseWriter and
// from http.ResponseController, and reaches no other request of the connection. What
// such a goroutine is writing at the very moment when the handler returns still belongs
// to the response, and net/http goes on after that.
//
// # Draining
//
// When the worker is told to end, by its stop signal or because the master has
// gone, it drains. http.Server.Shutdown alone would lose requests: it closes idle
// connections at the very moment a client may be using them, and drops a request
// that it has just read (golang/go#23829). So the order is:
//
//   - [Draining] is closed, for streams to come to a polite end.
//   - The worker's own copies of the listening sockets are closed. Connections in
//     their queues are taken by whoever else holds the sockets. A socket that the
//     master says it is about to close, or that nobody else holds, is accepted empty
//     first.
//   - Connections that were accepted are served on, and end with an answer that says
//     "Connection: close" (over HTTP/2 a GOAWAY). They do so one by one, a millisecond
//     apart and within two seconds, so that their clients do not all connect anew at
//     the same moment.
//   - An idle connection is closed when its own keep-alive time is over, as if
//     nobody were draining, so a client that reuses connections only for less time
//     than that never sees one closed under its request. A connection that has sent
//     nothing at all gets the same time, at least one second, from the beginning of
//     the drain.
//   - Hijacked connections and handlers at work are waited for.
//   - Shutdown comes last, when there is nothing left that it could cut, and Serve
//     returns nil.
//
// All that ends, and what is left is cut, a quarter of a second before the master
// would kill the worker; 30 s after the beginning where nobody says when; and 1.5 s
// after the master has gone. A second stop signal changes nothing. Where a handler has
// outlived its request for so long that the master takes the worker for stuck, Serve
// does not return then but waits for the master's abort signal, on which the runtime
// prints the stacks of all goroutines.
package worker
