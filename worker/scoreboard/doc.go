// Package scoreboard is the memory that a worker shares with its master: the
// worker writes what it is doing, the master reads it when it wants to know, and
// neither ever waits for the other. The master's side is [Memory] and [View], the
// worker's side is [Board].
//
// This comment is normative for implementations in other languages. The file
// testdata/board-v1.bin holds the bytes of a board on which the steps listed in
// testdata/board-v1.txt were done; an implementation is right when the same steps
// give the same bytes.
//
// # The memory
//
// One board for each worker, so that no worker can write another's: a memfd of
// 65536 bytes, sealed with F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_SEAL by the
// master, which maps it before it spawns the worker. Without the seals a worker
// that truncated the file would kill the master with SIGBUS. The worker finds its
// descriptor in GOSUPER_SCOREBOARD_FD, checks that the size is 65536, maps it
// shared, readable and writable, and may then close the descriptor.
//
// Numbers are little-endian, unsigned and aligned to their own size; everything is
// zero at the start. Single words are read and written atomically. Counters are
// added to by atomic addition, or by plain stores where a single thread does all
// the writing. Times are nanoseconds of CLOCK_MONOTONIC.
//
// # Layout, version 1
//
//	offset size  writer  meaning
//	     0    8  worker  magic, the bytes "GOSUPER1"
//	     8    4  worker  version, 1
//	    12    4  worker  header size, 4096: where the request slots begin
//	    16    4  worker  size of a request slot, 256
//	    20    4  worker  number of request slots that were ever in use: the highest
//	                     index plus one, 0 if the worker records none
//	    24    4  worker  process id of the writer
//	    28    4  worker  state: 1 starting, 2 ready, 3 draining
//	    32    8  worker  beat, a counter; 0 if the worker does not beat
//	    40    8  worker  what not every worker can, written before READY=1: bit 0 says that
//	                     it accepts nothing while it is to hold, bit 1 that it says
//	                     when it is busy
//	    64    8  master  drain until: when the worker is killed; 0 while not draining
//	    72    8  master  leaving: bit i says that listening socket i is to be
//	                     accepted empty before it is closed
//	    80    8  master  abort follows: 1 if the worker gets the abort signal at the
//	                     end of its drain, and time to answer it; else 0
//	    88    8  master  hold: 1 while the worker is a spare and accepts nothing, else 0
//	    96    8  master  slot, plus one, of a worker that was a spare: written before hold
//	                     becomes 0; 0 of one that was none
//	   104    8  master  busy at: the number of requests in flight at which the worker is
//	                     to say that it is busy; 0: never
//	   128    8  worker  requests started
//	   192    8  worker  requests finished: the application has returned, or the
//	                     deadline has passed, whichever is first
//	   200   40  worker  requests finished with a status of 1xx, 2xx, 3xx, 4xx, 5xx
//	   240    8  worker  requests ended by a timeout
//	   256    8  worker  connections accepted
//	   264    8  worker  connections open now
//	   272    8  worker  requests that found no free slot
//	   280    8  worker  lines of the access log that were dropped
//	   288    8  worker  sum of the durations of finished requests, in nanoseconds
//	   296    4  worker  number of overdue slots that were ever in use, as at 20
//	   300    4  worker  failures in a row, if GOSUPER_LIMIT_FAILURES is set; see below
//	   304    8  worker  when the first of these was finished
//	   312    8  worker  when the latest request began that was answered well
//	   512  512  worker  durations of finished requests, a histogram of 64 counters
//	  1024 3072  worker  overdue slots, 12 of 256 bytes
//	  4096 61440 worker  request slots, 240 of 256 bytes
//
// All other bytes are reserved: write nothing there, and ignore what is there.
// Words written by different parties, or at different rates, lie in different
// cache lines.
//
// # Writing the header
//
// The worker writes version, sizes, its process id and state 1 first and the magic
// last, as one atomic 64-bit store: whoever sees the magic sees the rest. It does
// so as early as it can, before it loads the application.
//
// # Requests in flight
//
// A request is in flight from its start until it is finished, once: requests started
// less requests finished. One that is ended at its deadline is finished then, with the
// status that its client got (504 where it got none), and the later return of the
// application changes no counter; until then the application is at work still, which
// is what its slot says.
//
// # Failures in a row
//
// A failure is a request that the application answered with a status of 5xx: not one
// that was ended at its deadline, nor a 503 that the worker gave in its place because it
// drains, or because the request waited for too long in the queue, nor one whose client
// had gone before its answer was complete, which counts neither way. A worker for which
// GOSUPER_LIMIT_FAILURES is set counts them: a failure that is the first in a row writes
// when it was finished, and each adds one to their number. Any other answer of the
// application ends the row, by a number of 0, and if the request began later than what
// is written as that of the latest that was answered well, its start is written there.
// Probes count neither way, since of a worker that only fails they may go well: requests
// whose path is /metrics or /ping, or begins with /health, /live or /ready.
//
// # The histogram
//
// Each finished request adds one to the counter of its duration d in nanoseconds.
// The buckets grow by a factor of about 1.4, two for each doubling:
//
//	bucket 0       d < 2^14, about 16 microseconds
//	bucket 1+2k    2^(14+k) <= d < 1.5 * 2^(14+k)
//	bucket 2+2k    1.5 * 2^(14+k) <= d < 2^(15+k)
//	bucket 63      all that is longer than 2^45, about 10 hours
//
// # Request slots
//
// A slot is 256 bytes at 4096 + 256 * index:
//
//	offset size  meaning
//	     0    8  sequence, odd while the slot is being written
//	     8    8  start of the request
//	    16    8  last progress
//	    24    8  absolute deadline: start plus request_timeout, 0 if there is none
//	    32    4  flags: 1 in use, 2 response begun, 4 upgraded, 8 ended
//	    36    1  length of the method, at most 16
//	    37    1  length of the path, at most 128
//	    38    1  length of the request id, at most 64
//	    40   16  method
//	    56  128  path, without the query
//	   184   64  request id
//
// Which slots are free is the worker's own business, kept in memory of its own;
// low indexes come first, since the master reads, and the kernel finds memory for,
// no more slots than the header counts. Before a slot is taken for the first time
// that number is raised, and it never falls.
//
// To take a slot the worker adds one to the sequence (now odd), writes start, progress (the
// same), deadline, lengths and texts, then the flags, and adds one to the sequence
// again. While the request runs, progress and flags change by one atomic store each
// and the sequence stays. To give the slot back it stores flags of 0; nothing else
// need be cleared, and a text beyond its length means nothing.
//
// Text is what the client sent, so bytes outside 0x20 to 0x7E are written as "?",
// and what does not fit is cut. The query stays out, since secrets are sent
// in it. The id is the value of X-Request-Id, or else of traceparent.
//
// Progress is every successful write to the client and every byte received from
// it. The flag "response begun" means that a byte of a final response was sent; an
// informational one (1xx) does not count. "Upgraded" means that the handler speaks
// a protocol of its own on the connection. "Ended" means that the deadline passed
// and the worker has done with the client, by answering or by cutting the
// connection, while the handler has not returned: the slot stays in use until it
// does.
//
// A request that finds all slots taken is counted at 272 and has none. It is
// timed by the worker like any other. If its deadline passes while the handler has not
// returned it gets an overdue slot, in use and ended from the beginning, with its own
// start and its last progress: a master is to see what does not end however many
// requests there are. Overdue slots have the form of the others, at 1024 + 256 * index.
// One that finds none has none: there are as many to be seen already.
//
// # Reading
//
// A slot is read by its sequence, which must be even, then what is wanted, then
// its sequence again, which must be the same; otherwise the read is void. Two reads
// of a slot are about the same request if both sequence and start are.
//
// The master trusts nothing here. A board without the magic, with a version it
// does not know, or with sizes that do not fit belongs to a plain worker. The
// process id is for people to look at and is never signalled.
//
// # The fleet page
//
// A second memory, sealed in the same way and found in GOSUPER_FLEET_FD, is shared by
// all workers so that the less busy one takes the next connection. It has 64 bytes
// for each place, a multiple of 64 places; the worker whose GOSUPER_PLACE is n
// writes the bytes from 64*n on. A worker whose place lies beyond the end takes no
// part.
//
//	offset size  meaning
//	     0    8  busy: requests that the application is at work on, and connections
//	             accepted less than a second ago that have not sent one yet
//	     8    8  capacity: busy at which this worker stops accepting; 0 if it does
//	             not stop
//	    16    8  beat: a counter that moves whenever busy is written
//	    24    8  the worker's id (GOSUPER_WORKER_ID) while it accepts connections, 0
//	             otherwise; written after the rest when it begins, and again with 0
//	             when it drains. The master writes 0 when the worker is gone.
//	    32    8  open connections
//
// The page is advice. It decides who waits for some milliseconds before it takes a
// connection, and nothing else; whoever reads it must bound the wait, and must stop
// waiting for a worker that shows no sign of life, which is one whose beat has not
// moved since it last let a connection wait.
package scoreboard
