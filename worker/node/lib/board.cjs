'use strict';
// The worker's side of the scoreboard, whose layout the package comment of worker/scoreboard says. Node cannot map
// memory, so what changes is written where it belongs. Each write is a system call, so all that a turn of the event loop
// changes is written at its end, and of a request that is over by then nothing but its counters. While a handler blocks the
// loop a thread writes instead, see onlooker.cjs; until there is one a request is written when it begins.

const fs = require('node:fs');
const { later } = require('./turn.cjs');
const { get32, get64, increment, set32, set64, text, view } = require('./words.cjs');
const LAYOUT = require('./layout.cjs');

const { SIZE, SLOT_COUNT, STATE, BEAT, CAN, DRAIN_UNTIL, LEAVING, HOLD, SLOT, BUSY_AT } = LAYOUT;
const { STARTED, FINISHED, TIMEOUTS, ACCEPTED, OPEN, UNSLOTTED, LOG_DROPPED, DURATION } = LAYOUT;
const { FAILURES, FAILING, SUCCEEDED, HISTOGRAM, COUNTERS_END } = LAYOUT;
const { FIRST_SLOT, SLOT_SIZE, PROGRESS, DEADLINE, FLAGS, METHOD, PATH, ID, TEXTS_END } = LAYOUT;

const SLOTS = 240;
const NO_SLOT = -1;
const [CAN_HOLD, CAN_TELL] = [1, 2];
const [STARTING, READY, DRAINING] = [1, 2, 3];
const [IN_USE, STREAMING, UPGRADED, ENDED] = [1, 2, 4, 8];
// What the onlooker is told by, and tells: 1 while a request is running, or was in this turn; a number that is odd while
// something is unwritten; how often it has written itself; and 1 while it sleeps until a request is running.
const [BUSY, TURN, WRITTEN, ASLEEP] = [0, 1, 2, 3];
// What the master sees in a slot: no request, the one that has it, or perhaps the one that had it before.
const [NOTHING, THIS, ANOTHER] = [0, 1, 2];
// So long may it be unknown to the master that requests get on, in milliseconds: that is said of all of them at once, since
// a stream gets on with each token.
const UNSAID = 100;
const [HALF_BUCKET, LONGEST] = [2 ** 13, 2 ** 45]; // nanoseconds, of the histogram

class Board {
  #fd;
  #memory = new SharedArrayBuffer(SIZE);
  #bytes = Buffer.from(this.#memory);
  #words = view(this.#bytes);
  #state = new Int32Array(new SharedArrayBuffer(16));
  #free = Array.from({ length: SLOTS }, (_, i) => SLOTS - 1 - i);
  #started = 0;
  #used = 0;
  #shown = new Uint8Array(SLOTS).fill(NOTHING); // what the master sees in a slot
  #changed = []; // slots
  #marked = new Uint8Array(SLOTS); // those that are among them
  #later = false; // whether all that has changed will be written
  #counted = false;
  #running = 0;
  #written = 0; // by an onlooker, as far as it is known here
  #watched = false;
  #unsaid = false; // whether progress is
  #flush = () => {
    this.#later = false;
    this.flush();
  };
  #sayProgress = () => {
    this.#unsaid = false;
    this.flush(); // so that what a slot has is no news to the master, but for its progress
    this.#write(FIRST_SLOT, SLOT_SIZE * this.#used);
  };

  // Without a descriptor nobody else sees the board.
  constructor(fd = -1) {
    if (fd >= 0 && fs.fstatSync(fd).size !== SIZE) throw new Error(`the board has not ${SIZE} bytes`);
    this.#fd = fd;
    if (fd >= 0) process.on('exit', () => this.flush());
  }

  // shared is what an onlooker gets.
  shared() {
    return { fd: this.#fd, memory: this.#memory, state: this.#state };
  }

  // watched says that there is an onlooker.
  watched() {
    this.#watched = true;
  }

  // writeHeader makes the worker a cooperating one that is starting; the magic comes last.
  writeHeader(pid) {
    [1, FIRST_SLOT, SLOT_SIZE, 0, pid, STARTING].forEach((word, i) => set32(this.#words, 8 + 4 * i, word));
    this.#write(8, 24);
    this.#bytes.write('GOSUPER1', 0, 'latin1');
    this.#write(0, 8);
  }

  setState(state) {
    this.flush();
    set32(this.#words, STATE, state);
    this.#write(STATE, 4);
  }

  beat() {
    this.#add(BEAT, 1);
    this.#write(BEAT, 8);
  }

  // drainUntil is when the master is going to kill this worker, in CLOCK_MONOTONIC nanoseconds, 0 if it is not known.
  drainUntil() {
    return Number(this.#read(DRAIN_UNTIL));
  }

  // leaving is whether the listening socket of this index is to be accepted empty before it is closed.
  leaving(index) {
    return index < 64 && ((this.#read(LEAVING) >> BigInt(index)) & 1n) === 1n;
  }

  // canHold says that this worker accepts nothing while it holds, and canTell that it says when it is busy.
  canHold() {
    this.#can(CAN_HOLD);
  }

  canTell() {
    this.#can(CAN_TELL);
  }

  #can(what) {
    this.#bytes[CAN] |= what;
    this.#write(CAN, 8);
  }

  // busyAt is at how many requests in flight this worker is to say that it is busy, 0: never.
  busyAt() {
    return Number(this.#read(BUSY_AT));
  }

  // holds is whether this worker is a spare, which accepts nothing.
  holds() {
    return this.#read(HOLD) !== 0n;
  }

  // slot is that of a worker that was a spare, -1 if it still is one or never was.
  slot() {
    return Number(this.#read(SLOT)) - 1;
  }

  accepted() {
    this.#count(ACCEPTED);
    this.#count(OPEN);
  }

  closed() {
    this.#add(OPEN, -1);
    this.#changeCounters();
  }

  // finished counts a request that ends with this status after so many nanoseconds.
  finished(status, duration) {
    const words = this.#words;
    this.#running--;
    increment(words, FINISHED);
    if (status >= 100 && status < 600) increment(words, FINISHED + 8 * Math.floor(status / 100));
    increment(words, HISTOGRAM + 8 * bucket(duration));
    this.#add(DURATION, Math.round(duration));
    this.#changeCounters();
  }

  // failed counts a request, finished at a time, that the application failed to answer, and returns how many there are in a
  // row.
  failed(now) {
    const row = get32(this.#words, FAILURES) + 1;
    if (row === 1) set64(this.#words, FAILING, now);
    set32(this.#words, FAILURES, row);
    this.#changeCounters();
    return row;
  }

  // succeeded ends such a row by a request that began at a time.
  succeeded(start) {
    set32(this.#words, FAILURES, 0);
    if (start > get64(this.#words, SUCCEEDED)) set64(this.#words, SUCCEEDED, start);
    this.#changeCounters();
  }

  timedOut() {
    this.#count(TIMEOUTS);
  }

  logDropped() {
    this.#count(LOG_DROPPED);
  }

  get started() {
    return this.#started;
  }

  // take counts a request that begins, and puts it into a free slot, if there is one. Each character of the texts is a byte.
  take(start, deadline, method, path, id) {
    const bytes = this.#bytes;
    const words = this.#words;
    this.#started++;
    this.#running++;
    this.#count(STARTED);
    if (this.#state[BUSY] === 0) this.#wake();
    const slot = this.#free.pop();
    if (slot === undefined) {
      this.#count(UNSLOTTED);
      return NO_SLOT;
    }
    if (slot >= this.#used) {
      this.#used = slot + 1;
      set32(words, SLOT_COUNT, this.#used);
      this.#write(SLOT_COUNT, 4);
    }
    const at = FIRST_SLOT + SLOT_SIZE * slot;
    increment(words, at); // odd, while the rest is being written
    set64(words, at + 8, start);
    set64(words, at + PROGRESS, start);
    set64(words, at + DEADLINE, deadline);
    bytes[at + 36] = text(bytes, at + METHOD, PATH - METHOD, method);
    bytes[at + 37] = text(bytes, at + PATH, ID - PATH, path);
    bytes[at + 38] = text(bytes, at + ID, TEXTS_END - ID, id);
    set32(words, at + FLAGS, IN_USE);
    increment(words, at);
    if (this.#shown[slot] === THIS) this.#shown[slot] = ANOTHER;
    this.#change(slot);
    if (!this.#watched) this.flush();
    return slot;
  }

  progress(slot, now) {
    if (slot < 0) return;
    set64(this.#words, FIRST_SLOT + SLOT_SIZE * slot + PROGRESS, now);
    if (this.#unsaid || this.#fd < 0) return;
    this.#unsaid = true;
    setTimeout(this.#sayProgress, UNSAID).unref();
  }

  // forgive is progress that the master is to see at once: a time that does not count.
  forgive(slot, now) {
    if (slot < 0) return;
    this.progress(slot, now);
    this.#change(slot);
  }

  // mark adds flags to a slot that is in use.
  mark(slot, flags) {
    if (slot < 0) return;
    const at = FIRST_SLOT + SLOT_SIZE * slot + FLAGS;
    set32(this.#words, at, get32(this.#words, at) | flags);
    this.#change(slot);
  }

  free(slot) {
    if (slot < 0) return;
    set32(this.#words, FIRST_SLOT + SLOT_SIZE * slot + FLAGS, 0);
    this.#change(slot);
    this.#free.push(slot);
  }

  // flush has the master see all that has changed.
  flush() {
    if (this.#fd < 0) return;
    const written = Atomics.load(this.#state, WRITTEN);
    if (written !== this.#written) {
      this.#written = written;
      this.#shown.fill(ANOTHER, 0, this.#used);
      for (let slot = 0; slot < this.#used; slot++) this.#mark(slot);
    }
    if (this.#running === 0 && this.#state[BUSY] !== 0) Atomics.store(this.#state, BUSY, 0);
    if (this.#counted) {
      this.#counted = false;
      this.#write(STARTED, COUNTERS_END - STARTED);
    }
    for (const slot of this.#changed) this.#show(slot);
    this.#changed.length = 0;
    if (this.#state[TURN] % 2) Atomics.add(this.#state, TURN, 1);
  }

  #show(slot) {
    this.#marked[slot] = 0;
    const at = FIRST_SLOT + SLOT_SIZE * slot;
    const used = get32(this.#words, at + FLAGS) !== 0;
    if (used && this.#shown[slot] !== THIS) {
      this.#add(at, -1); // odd, in the first of two writes
      this.#write(at, TEXTS_END);
      this.#add(at, 1);
      this.#write(at, 8);
    } else if (this.#shown[slot] !== NOTHING) {
      this.#write(at + PROGRESS, FLAGS + 4 - PROGRESS);
    }
    this.#shown[slot] = used ? THIS : NOTHING;
  }

  // contents are the bytes as this worker has written them.
  contents() {
    return this.#bytes;
  }

  // wake has the onlooker look, if there is one that sleeps.
  #wake() {
    Atomics.store(this.#state, BUSY, 1);
    if (Atomics.load(this.#state, ASLEEP) !== 0) Atomics.notify(this.#state, BUSY);
  }

  #count(at) {
    increment(this.#words, at);
    this.#changeCounters();
  }

  #changeCounters() {
    this.#counted = true;
    this.#changes();
  }

  #change(slot) {
    this.#mark(slot);
    this.#changes();
  }

  #mark(slot) {
    if (this.#marked[slot] !== 0) return;
    this.#marked[slot] = 1;
    this.#changed.push(slot);
  }

  // changes has what changes be written at the end of the turn.
  #changes() {
    if (this.#fd < 0 || this.#state[TURN] % 2) return;
    Atomics.add(this.#state, TURN, 1);
    if (this.#later) return;
    this.#later = true;
    later(this.#flush);
  }

  #add(at, n) {
    set64(this.#words, at, get64(this.#words, at) + n);
  }

  #write(at, length) {
    if (this.#fd >= 0) fs.writeSync(this.#fd, this.#bytes, at, length, at);
  }

  #read(at) {
    if (this.#fd >= 0) fs.readSync(this.#fd, this.#bytes, at, 8, at);
    return this.#bytes.readBigUInt64LE(at);
  }
}

// bucket is where the histogram has a duration. Of a number of half the first bucket the highest bit says how often that
// has doubled, and the next one in which half of the doubling it is.
function bucket(duration) {
  if (duration < 2 * HALF_BUCKET) return 0;
  if (duration >= LONGEST) return 63;
  const halves = Math.floor(duration / HALF_BUCKET) >>> 0;
  const doubled = 30 - Math.clz32(halves);
  return 1 + 2 * doubled + ((halves >>> doubled) & 1);
}

const ONLOOKER = { BUSY, TURN, WRITTEN, ASLEEP };

module.exports = { Board, ONLOOKER, SLOTS, NO_SLOT, READY, DRAINING, STREAMING, UPGRADED, ENDED };
