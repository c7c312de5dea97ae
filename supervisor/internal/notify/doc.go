//go:build linux

// Package notify receives what workers report about themselves: that they are ready, that they stop, that they
// want to be replaced. [Endpoint] is the master's ear for one worker, [Message] what it hears.
//
// A worker has two ways to speak, with the same text on both. The datagram socket of sd_notify(3) is for programs
// that know systemd: an abstract address, since a path would lie in a directory that workers of another user cannot
// enter. Anybody in the network namespace can find it and write to it, so a datagram is believed only if the
// kernel says it comes from the worker's session, which nobody can enter, or from a descendant. The other way is a
// connected pair whose far end the worker inherits: the descriptor is the identity, languages without unix
// datagrams can write to it, and it hangs up when the master dies.
//
// What arrives is hostile until parsed, and there may be any amount of it. Two limits keep a worker that sends
// without end from the supervisor's loop. Reading is paced: past the pace nothing is read, the kernel's queue fills
// and the sender waits, at its own expense. And the loop is told only what is new, ten times a second: status and
// timeouts are merged meanwhile, the last one wins. READY, STOPPING, FAILED and RECYCLE are news exactly once and never wait
// for that, so no flood can lose or delay them in here.
package notify
