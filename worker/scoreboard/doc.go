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
//	    20    4  worker  number of request slots in use, 0 if the worker records none
//	    24    4  worker  process id of the writer
//	    28    4  worker  state: 1 starting, 2 ready, 3 draining
//	    32    8  worker  beat, a counter; 0 if the worker does not beat
//	    64    8  master  drain until: when the worker is killed; 0 while not draining
//	    72    8  master  leaving: bit i says that listening socket i is to be
//	                     accepted empty before it is closed
//	   128    8  worker  requests started
//	   192    8  worker  requests finished
//	   200   40  worker  requests finished with a status of 1xx, 2xx, 3xx, 4xx, 5xx
//	   240    8  worker  requests ended by a timeout
//	   256    8  worker  connections accepted
//	   264    8  worker  connections open now
//	   512  512          reserved for a latency histogram
//	  4096 61440         reserved for request slots
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
// # Reading
//
// The master trusts nothing here. A board without the magic, with a version it
// does not know, or with sizes that do not fit belongs to a plain worker. The
// process id is for people to look at and is never signalled.
package scoreboard
