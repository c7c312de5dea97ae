// Package fleet is the brain of the master: it decides which workers should
// exist and what is to be done about it now. It does no I/O, reads no clock
// and starts no goroutine; the loop in package supervisor feeds it events and
// performs the actions it answers with.
//
// # One step
//
// [Fleet.Step] records the facts that events carry, escalates whatever is
// overdue, judges a reload in progress, retires who is no longer wanted and
// spawns who is missing. That takes time in proportion to the workers. Every step
// derives its decisions anew from the facts (level-triggered), never from the event
// that happened to arrive, so a lost, doubled or reordered event is repaired by the
// next one. Deadlines are data on the worker they concern; [Fleet.Deadline] is the
// earliest of them, and the only timer the master has.
//
// # Words
//
// A slot is one of the positions to be filled, of which there are as many as workers are
// asked for (the target); it is stable, and a replacement carries the slot of the worker
// it replaces while both live. A place is a number below target+surge that no two living
// workers share. An id is never used twice. A revision is one configuration handed to the
// brain; a generation counts the revisions that were accepted.
//
// A worker is starting (spawned, not ready), ready, draining (told to finish,
// until a deadline), aborted (asked for its stacks), killed or gone; to an operator
// who is aborted or killed is stopping. It is fresh if it belongs to the current
// revision and nobody asked for it to be recycled.
//
// How many workers are asked for is what the settings or an operator say, unless WorkersMax
// is set: then that is how many there are at least (the floor), and more are asked for by
// what a [Demand] takes, at once but never more than twice as many within [Doubling]. One
// goes after the other that was not needed for IdleTimeout, or for which memory has no room
// any more, the one with the least to do first, whose slot is closed then; so there may be
// closed slots between the others. A floor of 0 lets all go; while a reload is under way there
// is one for it. What an operator scaled to is remembered as a difference to the configured
// number, which may follow from the machine and change, and a reload that does not change it
// keeps that.
//
// A cooperating worker that is recycled, but not because an operator asks for it or because it
// fails, lingers: it stays beside its ready successor while requests of it last, for
// [LingerFor] at most, and in the second half of that only until it has no more of them than
// ever in the first. Nobody lingers while a reload or a stop is under way, somebody is stuck, or
// slots have listeners of their own.
// Whoever lingers or drains counts as surge. A worker that waits for its replacement for long
// because of drains is told of.
//
// A spare is a worker without a slot, of which a revision may ask for some: it is ready and
// accepts nothing. It is activated, which is that it becomes the worker of a slot, at once
// where nobody serves, or where somebody is to be replaced for another reason than a reload.
// Spares come after workers: they start when every slot is served, no reload is under
// way and no slot is in a backoff, so that a crash loop uses them up and then has the pace of
// its backoff. Those of an old revision go when a new one is accepted. What befalls spares is
// counted as in a slot of their own. Only workers that say so when they become ready can
// hold, and while the last of a revision does not say it there are no spares.
//
// A revision may have leases, as many as workers at least, and each worker and each spare
// holds one of them for life and until nobody is left of its process group. A successor
// starts first while one is free; else its slot, or the one whose worker has what it needs, is
// replaced stop-first, when nothing is under way that would free one. A worker, or what is
// left of one, is unkillable if it is there [UnkillableAfter] after SIGKILL. It holds its
// lease and its place, and is no reason for anything else to wait.
//
// Where memory is bounded, a process beyond those that there are to be is started only when a
// [Memory] said a moment ago that there is room for it: the successor of a worker that still
// lives, the canary of a candidate, a spare. One is asked for when somebody is to start, by a
// [Weigh], and counts for [RoomFor] and until a worker goes. Without room a worker is replaced
// stop-first, when the fleet is whole, a canary has a spare go first, a stuck worker is told to
// drain at once, and for a spare, or for whoever takes the place of one that drains, it is asked
// again after [RoomEvery]. The first worker of a slot where nobody lives, or only who has failed,
// as it says, is no such process, and activation starts none.
//
// The workers of a preloaded revision are spawned by its loader, which is no worker and
// fills no slot. It is started when a worker is to be spawned and there is none, and
// is told to end when no worker of its revision will be spawned any more. It has the
// startup timeout and the backoff of a worker. READY=1 of it is a promise: a loader has
// started when a worker of its revision really has since then. One that ends before that is a
// failed start, in a row that only such a worker breaks. StartupAttempts of them, in a trial
// one, give the revision up as failed boots would, but not while somebody is starting who may
// still break the row. A loader that ends later takes nobody with it.
//
// # Every event in every state
//
// What an event does to a worker, in a fleet of two of which the other one is ready.
// The events about one worker are about this one. It may be ready because that was
// guessed, or be found stuck by a look while its successor is starting; where it drains,
// which is called leaving if nobody told it to, and hurried if a look then found it stuck
// without an innocent request, its successor is ready. It was aborted because it did
// not become ready. Where it is a spare there is one slot. Only for a Demand does the
// size of the fleet follow that.
//
//	                 starting guessed  ready    spare    stuck    leaving  draining hurried  aborted  killed   gone
//	Tick             .        .        .        .        .        .        .        .        .        .        .
//	Tick, when due   Ax       p        .        .        .        Kk       Kk       Ax       Kks      i        .
//	Exited           Gbs      Gbs      Gbs      Gbs      Gb       Gb       Gb       Gb       Gbs      Gb       .
//	Cleared          .        .        .        .        .        .        .        .        .        .        .
//	SpawnFailed      Gbs      Gbs      Gbs      Gbs      Gb       Gb       Gb       Gb       Gbs      Gb       .
//	Hopeless         .        .        .        .        .        .        .        .        .        .        .
//	Executed         *        .        .        .        .        .        .        .        .        .        .
//	Waits            *        .        .        .        .        .        .        .        .        .        .
//	Cooperates       *        Sw       .        .        .        .        .        .        *        *        .
//	SaidReady        Ra       *        .        .        .        .        .        .        .        .        .
//	SaidStopping     Ds       Ds       Ds       D        D        .        .        .        .        .        .
//	SaidFailed       D#s      D#s      D#s      D#       D#       .        .        .        .        .        .
//	Extend           *        *        .        .        .        .        .        .        .        .        .
//	Recycle          *        s        s        Dr       .        .        .        .        .        .        .
//	Wish             *        s        s        Dr       *        *        *        *        *        *        .
//	Looked, stuck    .        fs       fs       Dfr      .        fh       fh       .        .        .        .
//	Looked, innocent .        fs       fs       Dfr      *        fh       fh       l        .        .        .
//	Looked, failing  .        qs       qs       Dqr      v        *        *        vl       .        .        .
//	Looked, well     .        .        .        .        v        .        .        vl       .        .        .
//	Oversized        Kks      Kks      Kks      Kk       Kk       Kk       Kk       Kk       Kks      *        .
//	Demand, more     .        ns       ns       n+s      ns       ns       ns       ns       .        .        .
//	Demand, less     Dnr      Dnr      Dnr      .        Dnr      .        .        .        n        n        n
//	Memory           .        .        .        .        .        .        .        .        .        .        .
//	ScaleBy +1       ns       ns       ns       n+s      ns       ns       ns       ns       ns       ns       ns
//	ScaleBy -1       Dnr      Dnr      Dnr      .        Dnr      n        n        n        n        n        n
//	Recount, more    ns       ns       ns       n+s      ns       ns       ns       ns       ns       ns       ns
//	Reload           s        s        s        s        .        .        .        .        s        .        s
//	Stop             Dcr      Dcr      Dcr      Dcr      Dcr      ch       ch       c        c        c        c
//	Stop, quick      Dcr      Dcr      Dcr      Dcr      Dcr      ch       ch       c        c        c        c
//
// The same of a loader, in a fleet of one preloaded worker, which is ready unless the loader
// is the first. It is stopping because a reload has replaced its revision, and was aborted
// and killed because it hung.
//
//	                 starting ready    stopping aborted  killed   gone
//	Tick             .        .        .        .        .        .
//	Tick, when due   Aj       .        Kp       Kz       .        .
//	LoaderReady      Rs       .        .        .        .        .
//	LoaderExited     m        G        G        G        G        .
//	LoaderHung       .        Aj       .        .        .        .
//	LoaderExtended   *        .        .        .        .        .
//	ScaleBy +1       n        ns       ns       n        n        Snm
//	Reload           m        m        m        m        m        m
//	Stop             Tco      Tco      Kcrkz    c        c        c
//	Stop, quick      Tco      Tco      cr       c        c        c
//
// An upper-case letter is the state that follows: S starting, R ready, D draining,
// A aborted, K killed, G gone; of a loader S starting, R ready, T stopping, A aborted,
// K killed, G gone. The others are what is done, to this worker or for the fleet:
//
//	m Load, o Unload, j AbortLoader, z KillLoader, s Spawn, + Activate, a Announce, w Withdraw, p Plain, f FoundStuck, v Recovered
//	q FoundFailing, # FoundFailed, r Retire, h Hasten, l Prolong, x Abort, k Kill, i Unkillable, b Bury, n Rescale, c Close
//
// An asterisk is a fact that is noted, and a point nothing at all. A worker that nobody
// knows is like one that is gone.
//
// # Laws
//
// The simulator in this package's tests holds the brain to these, and mutants
// of this source prove that it would notice:
//
//   - Nothing is done to a dead worker.
//   - While surge allows a replacement first, a ready worker is retired only
//     when its slot has a ready successor.
//   - A worker told to stop is gone or killed within its grace, and gets the
//     stop signal once.
//   - No spawn inside a backoff.
//   - Before anything was ever ready, a boot that failed is tried again in one slot alone.
//   - Never more than target+surge processes alive, draining ones included, and spares beside
//     them, except those already alive when the target shrank, and unkillable ones.
//   - With a ready spare there is no slot that nobody serves, from the step on in which its
//     worker died, unless it was emptied for the first worker of a reload.
//   - Never more spares than asked for, none before every slot is served, none of workers that
//     cannot hold, and none started during a reload, a stop or a backoff.
//   - No spare of an old revision lives on, untold, once a new one is accepted, and none is
//     activated.
//   - A spare is not activated beside a worker that is to stay, nor ended while it could be
//     activated, unless a reload needs its lease: before a worker goes for that, spares do.
//   - Places of living workers differ.
//   - No two living processes hold the same value of a resource, of whatever revisions; a
//     worker has a lease of its own revision; and there are never more workers than leases.
//   - A worker goes for want of a lease only when nothing is about to free one and
//     every other slot is served that could be. Its slot gets its lease back if the
//     successor is one of the same revision.
//   - Where memory is bounded no process beyond those that there are to be is started without
//     room for it and for all that are missing, and nobody goes before his successor comes
//     unless there is none; for a canary no worker does beside a spare.
//   - Nobody who is missing where nobody lives waits for memory.
//   - Memory is asked for only while somebody wants to start for whom that matters, and once
//     within [RoomFor]; whoever waits for it is not forgotten.
//   - Who is unkillable is called so, not earlier and once in [UnkillableEvery], and costs neither
//     surge nor a slot: the fleet converges all the same, to one worker fewer if there is no
//     other lease.
//   - A revision that cannot become ready is rolled back; the workers before
//     it stay untouched until its first worker is ready.
//   - A rollout is rolled back when StartupAttempts failures are in a row, one if it is
//     hopeless, and not before: boots that fail with none between them that succeeds, or crashes soon
//     after ready with no worker between them that stays for ResetAfter. The rows
//     of one slot count as well as that of all, for a rollout waits for its slot.
//   - At most surge recyclings at once (one, where surge is 0).
//   - A recycled worker goes when it has a successor, at once or, if it may linger, when none of
//     its requests lasts, when few do, or when its time for that is over: not before, and
//     not later.
//   - A slot is granted one wish of its workers within ResetAfter, and none is forgotten.
//   - After a stop the fleet is empty within its grace, and whoever is stuck has been
//     asked for its stacks, unless the stop is a quick one. Until the delay of the
//     stop is over it serves as before and replaces who crashes or is stuck, but
//     nobody else, and does not give up.
//   - Deadline is in the future or absent, and a second step at the same time
//     does nothing.
//   - A stuck worker is relieved at once, and nobody waits for it longer than
//     its innocent requests may need, which have that time also if they come when
//     it was about to go.
//   - A worker that takes more memory than it may is killed in the same step.
//   - A worker that says it has failed has crashed, from then on: it is replaced at once, or
//     when the backoff is over, and finishes what it has within its grace.
//   - A worker is replaced for its age when its lifetime is over, not before.
//   - A late loop punishes nobody, until it was late again and again for [LateGrace].
//   - What all looks of [Lateness] saw of a worker is acted on, however often the
//     loop was late, and a worker that is no longer stuck is not held to be so.
//   - What hangs is seen, whoever was late and in whatever order the worker became
//     ready, wrote its header and began to hang: the guard stands between the worlds
//     of the simulator and the brain as it does between boards and the loop.
//   - The fleet is called ready when every slot has a ready worker, and a crash
//     loop is called one, of workers or of the loaders that they wait for.
//   - The order in which a worker writes its header, says READY=1, grows old enough
//     and begins to wait for connections does not matter: two brains are given all of
//     it in different orders, in the midst of whatever else happens, and have to agree.
//   - A worker that was ready by its looks alone and goes soon is a failed boot.
//   - No worker of a preloaded revision is spawned without a ready loader.
//   - At most one loader of a revision lives, and none is started inside a backoff, nor
//     while nobody needs it, nor for a reload beside one that is still loading for a
//     reload before it, unless that was killed.
//   - A loader that nobody needs is told so at once, and is gone or killed within its
//     grace; one that is needed is not told. One that hangs, or is not ready in time, is
//     asked for its stacks, and is gone or killed within the grace for that.
//   - No worker goes for a revision whose loader is not ready. A trial whose loader
//     fails to start is over, and before anything was ever ready none is started after
//     StartupAttempts that failed in a row. Nothing is given up for that while a worker is
//     starting that may break the row.
//   - A loader that was ready and ends before a worker of its revision has really started has
//     failed to start, and no loader breaks that row.
//   - As many workers are asked for as are configured by now and an operator scaled to, though
//     there could not be as many meanwhile.
//   - As many workers are asked for as a demand takes, in the same step, but for what
//     doubling allows, and never more than that, nor more than there may be, have a lease,
//     or fit into memory.
//   - A worker that is not needed goes when it was not for IdleTimeout, not before, one for
//     which memory has no room although it is needed, and one at a time: of those who have the
//     least to do. Nobody goes while a reload is under way, nor while the requests of some
//     cannot be seen.
//   - While the demand stays the same the number of workers goes one way at most.
//   - When workers and loaders behave, the fleet converges to what was asked.
package fleet
