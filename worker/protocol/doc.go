// Package protocol holds the names and numbers that gosuper and its workers
// share, and this comment is the worker protocol itself, for whoever implements
// it in another language. It is a superset of sd_listen_fds(3) and sd_notify(3):
// a program that knows only those is a good worker already. Package worker speaks
// it for Go, worker/python for Python and worker/node for Node, where memory can
// only be written and read; worker/proxy does in front of any other program.
//
// # Being started
//
// A worker is an ordinary program, started by execve. It leads its own process group, has
// default signal dispositions, an empty signal mask and /dev/null as its standard input. Its
// standard output and error are pipes, or one pipe for both, from which the master passes on
// what is written: programs that look for a terminal find none. Where the master's own output
// is one, PYTHONUNBUFFERED is 1 unless the user has set it. A worker is told what it needs by
// its environment:
//
//   - LISTEN_FDS=n, LISTEN_PID, LISTEN_FDNAMES: the descriptors 3 to 3+n-1 are
//     listening sockets, in the order of the `bind` setting (bind0, bind1, ... or
//     what systemd calls them), and behind them those that the slot has alone, in the
//     order of `bind_slot` (bind_slot0, ...). Accept from all of them. They are
//     non-blocking: an accept without a connection gives EAGAIN. The open file
//     description is shared with the master and every other worker. Do not call
//     shutdown(2) on it, do not clear O_NONBLOCK, do not call listen(2) again with a
//     backlog of your own, and never unlink the path of a unix socket. One that another
//     worker has shut down at its end listens again within a second (ListenGrace).
//   - GOSUPER_WORKER_ID: this process's id in logs. No two workers of one master
//     ever have the same.
//   - GOSUPER_SLOT: 0 to workers-1. A replacement has the slot of the worker it
//     replaces, and for a while both live. A spare, see below, has none yet.
//   - GOSUPER_PLACE: 0 to workers+spares+surge-1. No two living workers have the same.
//   - GOSUPER_GENERATION: counts accepted configurations, from 1.
//   - GOSUPER_RESOURCE_NAME: what is leased to this worker of the resource NAME of
//     the table [resources]. No two living workers have the same, nor has anybody
//     until the last process of the worker's group is gone.
//   - GOSUPER_STOP_SIGNAL: the name of the signal that asks this worker to drain,
//     such as "SIGTERM" or "SIGUSR2".
//   - GOSUPER_NOTIFY_FD and NOTIFY_SOCKET: where to report, see below.
//   - GOSUPER_SCOREBOARD_FD: memory shared with the master, laid out as package
//     scoreboard says.
//   - GOSUPER_LIMIT_KEEPALIVE_MS: how long an idle keep-alive connection is kept,
//     in milliseconds; 0 means no keep-alive.
//   - GOSUPER_LIMIT_REQUESTS: the number of requests after which this worker asks
//     to be replaced; 0 means never.
//   - GOSUPER_LIMIT_FAILURES: the number of requests in a row, answered with 5xx by the
//     application, after which the master is to look whether this worker alone fails:
//     count them on the board. 0 means never.
//   - GOSUPER_LIMIT_TIMEOUT_MS, GOSUPER_LIMIT_STREAM_TIMEOUT_MS,
//     GOSUPER_LIMIT_UPGRADE_TIMEOUT_MS, GOSUPER_LIMIT_REQUEST_TIMEOUT_MS: limits on
//     each request, see below, in milliseconds; 0 means no limit.
//   - GOSUPER_TLS_FD: memory that holds a certificate chain followed by its private
//     key, both PEM. Read it from offset 0 with pread(2), since the position is shared
//     with other workers, and serve TLS with it on the TCP sockets.
//   - WATCHDOG_USEC: the time, in microseconds, within which the worker has to give
//     a sign of life. With a board that is to add to its beat, about twice in that
//     time, from where the requests are served; else see sd_watchdog_enabled(3).
//   - GOSUPER_LIMIT_CONNECTIONS: how busy this worker may be and still accept
//     connections, see below; 0 means that it accepts all.
//   - GOSUPER_LIMIT_BACKLOG_TIMEOUT_MS: for how long, in milliseconds, a request may
//     have waited in the queue of the socket; one that waited longer is answered with
//     503, Retry-After and "Connection: close". 0 means no limit.
//   - GOSUPER_FLEET_FD: the page on which all workers tell how busy they are, laid out
//     as package scoreboard says.
//   - GOSUPER_ACCESS_FD and GOSUPER_ACCESS_FORMAT: where the lines of the access
//     log go, and whether they are "combined" or "json".
//
// Descriptor numbers and limits are decimal. A variable that is absent means
// that the master does not offer the thing or set the limit.
//
// # Whose environment it is
//
// LISTEN_PID is the process id of the process that gosuper started. The
// descriptors, those of the sockets as well as every GOSUPER_*_FD, are meant for
// the reader only when LISTEN_PID is the reader's own process id. A reader for
// which it is must then set FD_CLOEXEC on the descriptors and unset the variables
// that name descriptors, the stop signal and the limits, so that its own children
// do not take them for theirs; so also NOTIFY_SOCKET, if it does not use it. GOSUPER_WORKER_ID, GOSUPER_SLOT, GOSUPER_PLACE,
// GOSUPER_GENERATION and GOSUPER_RESOURCE_NAME stay, for the application.
//
// A reader that finds GOSUPER_WORKER_ID and somebody else's LISTEN_PID runs below
// a program that was started in its place: a shell, `uv run`, `npm start`. Signals
// and reports would go astray. It must not bind an address of its own instead,
// where nobody would supervise it, but fail with a message that names the program
// between (/proc/LISTEN_PID/cmdline) and says that it should exec. With no
// LISTEN_PID at all the reader is a child of a worker, and not a worker.
//
// # Reporting
//
// GOSUPER_NOTIFY_FD is one end of a SOCK_SEQPACKET pair: each write(2) is one message, and the
// descriptor itself is the proof of who sends it. End of file or a hang-up on it means that the
// master is gone; a worker then drains and exits. The worker must not wait for it for long: the
// socket's buffer takes many messages, and a full one means a master in trouble. NOTIFY_SOCKET
// is a unix datagram socket whose address begins with "@" where it is abstract. The same text
// is understood on both; use the first where you know it.
//
// A message is text of at most 4096 bytes, one assignment a line:
//
//   - READY=1: requests are being accepted. Further ones change nothing.
//   - STOPPING=1: this worker has begun to drain, asked or of its own accord.
//   - STATUS=text: one line for humans.
//   - WATCHDOG=1: a sign of life, for workers that have no beat on the board.
//   - EXTEND_TIMEOUT_USEC=n: the start may take n more microseconds from now.
//   - BARRIER=1, alone, with one descriptor attached (NOTIFY_SOCKET only): the
//     master closes the descriptor once it has handled all that came before.
//   - X_GOSUPER_RECYCLE=reason: replace me. The worker serves on until it is told
//     to drain, which happens when its replacement is ready. "max_requests" is
//     the reason when GOSUPER_LIMIT_REQUESTS is reached; others are the worker's
//     own, of at most 32 small letters, digits and underscores. Send it once. In each slot one such wish is granted within
//     restart.reset_after, and the next one waits so long; max_requests does not
//     wait if the board shows as many requests.
//   - X_GOSUPER_FAILING=1: the board shows as many failures in a row as
//     GOSUPER_LIMIT_FAILURES, or a multiple of it. The master looks, and replaces this
//     worker if others answer well. Send it each time.
//   - X_GOSUPER_BUSY=1: as many requests are in flight as the board asks for, see
//     "Being told to say so".
//   - X_GOSUPER_FAILED=1: this worker can serve nobody any more. It drains, and has crashed:
//     another one is started at once.
//
// Other keys are ignored. A program behind the front of worker_class = "proxy" finds in
// NOTIFY_SOCKET one of the front's, on which STATUS, EXTEND_TIMEOUT_USEC and
// X_GOSUPER_RECYCLE mean the same, and the rest nothing.
//
// # The board
//
// A worker that maps the scoreboard and writes its header is a cooperating worker: the master
// waits for its READY=1 instead of guessing, and gives it what only a worker can do, such as
// max_requests. Write the header before loading the application, which may take long.
//
// Who cannot map memory writes with pwrite(2) and reads with pread(2): on a memfd both
// are coherent with the master's mapping. One write may hold several words, and the
// master may then see some of them and not yet the others, so a slot is taken with two:
// all of it with its sequence odd, then the sequence alone. What changes may wait until
// the worker next waits for anything, and progress for a tenth of a second; but a request
// is to be seen within half a second however its handler blocks, which takes a second
// thread.
//
// # Requests
//
// A worker that serves requests has a slot on the board for each, as package
// scoreboard says, and ends those that exceed a limit. A request is due
//
//   - GOSUPER_LIMIT_TIMEOUT_MS after its last progress, while no byte of a final
//     response was sent;
//   - GOSUPER_LIMIT_STREAM_TIMEOUT_MS after its last progress, from then on;
//   - GOSUPER_LIMIT_UPGRADE_TIMEOUT_MS after the last byte in either direction, once
//     the connection speaks a protocol of the application's own;
//   - in any case GOSUPER_LIMIT_REQUEST_TIMEOUT_MS after its start.
//
// Progress is every write to the client that succeeds and every byte of the body that
// arrives. Where a write waits in a buffer, what the kernel still delivers from it
// is progress too. A request that is due is ended without harm to any other. If
// nothing of a final response was sent, it is answered with status 504 and Retry-After,
// over HTTP/1 with "Connection: close"; an informational response (1xx) does not
// count. Otherwise the client must see a broken response and never a complete
// one: leave the last chunk or the rest of the length unsent, reset the connection
// (SO_LINGER of 0) where its end is the end of the response, reset the stream over
// HTTP/2. The application is told to stop. Set "ended" in the slot, keep the slot until
// the application has returned, and add one to the timeouts. The request is finished now:
// it is counted as such and has its line in the access log, and when the application
// returns neither happens again.
//
// The master looks at the board too, and takes a worker for stuck that leaves a
// request in its slot one second (OverdueGrace) after it was due, whether or not it
// says "ended". A worker whose own alarm goes off more than a tenth of a second late
// (Lateness) was stopped or starved of a processor: it gives its requests what that took
// of their time without progress, and after more than OverdueGrace all of it anew, and
// says so on the board as progress. So that it does not miss what was over just before
// a request is due, its alarm goes off several times in the half second before.
//
// # Taking connections
//
// A worker is as busy as it has requests that its application is at work on, those whose
// deadline has passed included, and connections that have not sent a request yet; the
// latter count for a second at most (FreshConnection), and idle ones between two
// requests do not count.
// Once it is as busy as GOSUPER_LIMIT_CONNECTIONS says it leaves connections in the queue
// of the socket, for others to accept, and it goes on as soon as there is room. Requests on connections that are open are
// served in any case.
//
// A worker that shares its socket with others writes how busy it is on the fleet page.
// When there is something to accept it looks at the others first: if one with room is
// less busy, or as busy with fewer connections open, that one should take it. So it
// waits, for some milliseconds at most and in proportion to the difference, looks
// again, and accepts what is still there. It must not wait again and again for a
// worker that does not react. All workers are woken by a connection, so each must see
// the queue empty before it goes to sleep.
//
// Out of descriptors or memory, pause for a moment before the next accept.
//
// O_NONBLOCK is common to all who share the socket, and one of them may have cleared it.
// Whoever accepts in the thread that also serves sets it before each accept: else all its
// requests wait with it when somebody else was faster to take what had come.
//
// # Being told to say so
//
// A master whose number of workers follows the demand need not look at the boards again
// and again of those who have nothing to do. It writes into `busy at` the number of requests
// in flight at which it wants to hear of them, and sends LOOK=1. The worker reads the
// word when it hears any message; once as many are in flight, or if they are already,
// it sends X_GOSUPER_BUSY=1, when the board shows them, and says nothing more before the next
// message. With 0, which the word is at first, it never says anything. A worker that does
// all this sets bit 1 of the word "what not every worker can" before it says READY=1.
//
// # Spares
//
// A worker whose board has 1 in `hold` is a spare. It starts like any other, and once it
// could accept connections it says READY=1 and accepts none: it does not even wait for
// them, since each would wake it, and it is nobody on the fleet page. GOSUPER_SLOT is absent.
//
// When a worker is missing, or is to be replaced, the master makes one of the spares the worker
// of that slot. It writes the slot plus one into `slot`, then 0 into `hold`, and then sends
// the message LOOK=1 on GOSUPER_NOTIFY_FD, on which the worker hears of it without having to
// look again and again. The worker reads `hold` when it hears any message there, and when it
// becomes ready, since that may have come before; with 0 it accepts at once, within five
// milliseconds (HoldMargin), and is a worker like any other from then on. For the application the
// worker should set GOSUPER_SLOT then.
//
// Not every worker can do that: one whose connections are accepted by a server that knows
// nothing of this cannot. A worker that can sets bit 0 of the word "what not every worker can"
// before it says READY=1, whether it is a spare or not, and the master has no spares before
// a worker of the same command has. A spare that is told to drain closes its sockets whatever
// `leaving` says: others take what waits there.
//
// # A start that cannot succeed
//
// A worker whose start fails is started again, restart.startup_attempts times in a row, since
// what it needs may come to be there. One that knows that every other would fail as it does, for a
// mistake in its command line or a module that is missing, says on standard error what to do and
// exits with status 78 (ExitHopeless, EX_CONFIG of sysexits.h) before READY=1: before anything was
// ever ready the master gives up at once, and a rollout is rolled back. So does a loader, whose start
// has failed if it ends before a worker of it is ready, READY=1 or not.
//
// # The access log
//
// Each finished request is one write(2) of one line of at most 4096 bytes to
// GOSUPER_ACCESS_FD, a non-blocking pipe of this worker alone; leave it so, since no
// request waits for the log. A line that gives EAGAIN is dropped and counted. The
// master takes 16 MiB a second in the long run, and passes on what is a line of the
// format and has the id of this worker, once.
// "combined" is
//
//	ADDRESS - - [02/Jan/2006:15:04:05 +0000] "METHOD TARGET PROTOCOL" STATUS BYTES "REFERER" "USER AGENT" DURATION FIRST WORKER "REQUEST ID" ENDED
//
// with the duration and the time to the first byte of the response in seconds, the
// latter "-" if there was none, and ended one of ok, timeout, drain, client_gone and
// panic. "-" stands for what is not known. Quotes, backslashes and all bytes that are
// not printable ASCII are written as \xhh. "json" is an object with the members time
// (RFC 3339, UTC), remote, method, target, proto, status, bytes, referer, user_agent,
// duration, first_byte (or null), worker, request_id and ended.
//
// # Draining
//
// The stop signal comes at most once and asks the worker to drain: stop
// accepting by closing its own copies of the listening sockets, give every
// connection that it has accepted its answer, end each with an answer that says
// "Connection: close" over HTTP/1.1, close idle connections when their own keep-alive
// time is over and not before, tell streams to come to an end, and then exit with
// status 0. A second stop signal changes nothing.
//
// Were all connections to end with their next answer, their clients would all come
// back at the same moment. So they have turns, a millisecond apart (TurnStep), and less
// where the last one would wait for longer than two seconds (TurnSpan) or a quarter of
// the drain; those with a request under way come first. A connection ends with the first
// answer that begins when its turn has come, and one that was accepted later with the first of all.
// Over HTTP/2 the turn is that of GOAWAY.
//
// Three words of the board belong to this. A bit set in `leaving` means that the
// listening socket of that index is about to be closed by the master too, and that
// nobody else will take what waits in its queue: go on accepting from it until it
// has been empty for about a second (QuietQueue), then close it. `drain until` is the
// moment of CLOCK_MONOTONIC at which the worker is killed. It may be moved during the
// drain, nearer and away again, so read it again; cut what is left and be gone 250 ms before it
// (DrainMargin; of a worker that ends within 500 ms of it, CutMargin, the master
// believes that it has cut something). Without a board the time is unknown, and 30 s
// are a good guess (UnboundedDrain). Once the master is gone nobody kills the worker,
// which ends by itself within 1.5 s (OrphanGrace), or at `drain until` if that is
// earlier.
//
// `abort follows` is 1 while the master takes the worker for stuck: then the abort
// signal (SIGABRT, or the `abort_signal` setting) comes at `drain until`, and SIGKILL two
// seconds later (AbortGrace), which the worker has for what it can say about itself:
// the stacks of its threads, say. Having cut what is left, it waits for the signal as
// long as the application is at work and the word says so.
//
// # The loader
//
// With the `preload` setting the command is not started once for each worker, but
// once for each configuration, as the loader: it loads the application, and makes
// every worker by fork, so that they share what was loaded and start in
// milliseconds. Any program that can fork without exec can be one. All that was said
// above holds for a worker that was forked as for one that was executed.
//
// A loader is given what workers have for life: user, limits, umask, folder, a session
// and a process group of its own, the death signal, standard output and error; but no
// sockets, no board and nowhere to report. Its variables are those of a worker that do
// not differ between workers, LISTEN_PID, GOSUPER_GENERATION, and
//
//   - GOSUPER_LOADER_FD: one end of a SOCK_SEQPACKET pair, for the reader only when
//     LISTEN_PID is its own process id. A program that finds it and cannot be a loader
//     should say so and exit.
//
// Each write(2) to that descriptor is one message of at most 65536 bytes (MaxLoader),
// one assignment a line, and so is each read(2) from it. A loader may say
//
//   - READY=1: the application is loaded, and workers may be asked for. It has the
//     `startup_timeout` for that.
//   - STATUS=text: one line for humans, which is logged once; none takes the last one back.
//     What is in the way of a fork belongs here: threads, a running event loop, an open GPU.
//   - EXTEND_TIMEOUT_USEC=n: the start may take n more microseconds from now.
//   - SPAWNED=seq: the worker with that number runs. The worker itself sends it, and
//     the kernel says which process that is (SCM_CREDENTIALS in unix(7)). Where the
//     loader has to send it, a second line PID=n names the process.
//   - FAILED=seq, and what went wrong in the lines after it: no worker came of it.
//
// The master asks for a worker when the one before it is there, or will not be. Its
// message is
//
//   - SPAWN=seq, a number that was never used before;
//   - GOSUPER_MASTER_PID=n, the parent that the worker is to have;
//   - the variables of the worker, one a line: those of "Being started" but LISTEN_PID,
//     and those that differ between workers for other reasons;
//   - descriptors (SCM_RIGHTS): the first becomes the worker's descriptor 0, the
//     second its descriptor 1, and so on. So all are where the variables say.
//
// The loader forks, its child forks again and exits, and the loader waits for its
// child alone: the grandchild becomes a child of the master. The grandchild is the
// worker. It
//
//  1. waits until its parent is GOSUPER_MASTER_PID, asks for SIGKILL as its death
//     signal (PR_SET_PDEATHSIG in prctl(2)), and looks at its parent once more: it
//     exits if that is somebody else;
//  2. becomes the leader of a session (setsid(2)), has default signal dispositions and
//     an empty signal mask, puts the descriptors where they belong and closes what is
//     the loader's alone, sets the variables, and LISTEN_PID to its own process id, and
//     unsets GOSUPER_LOADER_FD;
//  3. sends SPAWNED=seq, closes the loader's descriptor, and reads one message from
//     GOSUPER_NOTIFY_FD. "GO=1" says that the master knows it. End of file says that
//     the master does not want it or is gone: it exits at once, and nothing of the
//     application has run;
//  4. goes on as a worker: with the header of the board, if it is not written yet.
//
// A loader that has not answered for ten seconds (SpawnTimeout) is taken for hung: it gets the abort
// signal, and SIGKILL two seconds later (AbortGrace), as one does that is not ready within
// startup_timeout. One that reads the end of file is not needed any more, or has no master: it exits
// with status 0. It is ended two seconds later (UnloadGrace), as is one that closes its descriptor and
// does not exit. Its workers live on in all these cases, and when the loader ends by itself: another
// one is started when the next worker is needed.
//
// What cannot be understood is ignored, and logged. A process whose SPAWNED nobody
// waits for is killed if it is a child of the master.
package protocol
