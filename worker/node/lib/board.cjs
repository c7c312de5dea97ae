'use strict';
// The worker's side of the scoreboard, whose layout the package comment of worker/scoreboard says. Node cannot map
// memory, so what changes is written where it belongs. Each write is a system call, so all that a turn of the event loop
// changes is written at its end, and of a request that is over by then nothing but its counters. While a handler blocks the
// loop a thread writes instead, see onlooker.cjs; until there is one a request is written when it begins.

const fs = require('node:fs');
const { later } = require('./turn.cjs');
const { get32, get64, set32, set64, view } = require('./words.cjs');

const SIZE = 65536;
const SLOTS = 240;
const NO_SLOT = -1;
const [CAN_HOLD, CAN_TELL] = [1, 2];
const [STARTING, READY, DRAINING] = [1, 2, 3];
const [IN_USE, STREAMING, UPGRADED, ENDED] = [1, 2, 4, 8];

const SLOT_COUNT = 20;
const STATE = 28;
const BEAT = 32;
const CAN = 40;
const [DRAIN_UNTIL, LEAVING, ABORT_FOLLOWS, HOLD, SLOT, BUSY_AT] = [64, 72, 80, 88, 96, 104];
const STARTED = 128;
const FINISHED = 192;
const TIMEOUTS = 240;
const ACCEPTED = 256;
const OPEN = 264;
const UNSLOTTED = 272;
const LOG_DROPPED = 280;
const DURATION = 288;
const FAILURES = 300;
const FAILING = 304;
const SUCCEEDED = 312;
const HISTOGRAM = 512;
const COUNTERS_END = 1024;
const FIRST_SLOT = 4096;
const SLOT_SIZE = 256;
const [PROGRESS, DEADLINE, FLAGS, METHOD, PATH, ID, TEXTS_END] = [16, 24, 32, 40, 56, 184, 248];
// What the onlooker is told by: whether a request is running, a number that is odd while something is unwritten, and how
// often it has written itself.
const [BUSY, TURN, WRITTEN] = [0, 1, 2];
// What the master sees in a slot: no request, the one that has it, or perhaps the one that had it before.
const [NOTHING, THIS, ANOTHER] = [0, 1, 2];
// So long may it be unknown to the master that requests get on, in milliseconds: that is said of all of them at once, since
// a stream gets on with each token.
const UNSAID = 100;

class Board {
  #fd;
  #memory = new SharedArrayBuffer(SIZE);
  #bytes = Buffer.from(this.#memory);
  #words = view(this.#bytes);
  #state = new Int32Array(new SharedArrayBuffer(12));
  #free = Array.from({ length: SLOTS }, (_, i) => SLOTS - 1 - i);
  #started = 0;
  #used = 0;
  #shown = new Uint8Array(SLOTS).fill(NOTHING); // what the master sees in a slot
  #changed = new Set(); // slots
  #counted = false;
  #running = 0;
  #written = 0; // by an onlooker, as far as it is known here
  #watched = false;
  #unsaid = false; // whether progress is
  #flush = () => this.flush();
  #sayProgress = () => {
    this.#unsaid = false;
    this.flush(); // so that what a slot has is no news to the master, but for its progress
    this.#write(FIRST_SLOT, SLOT_SIZE * this.#used);
  };

  // Without a descriptor nobody else sees the board.
  constructor(fd = -1) {
    if (fd >= 0 && fs.fstatSync(fd).size !== SIZE) throw new Error(`the board has not ${SIZE} bytes`);
    this.#fd = fd;
    if (fd >= 0) process.on('exit', this.#flush);
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
    this.#count(ACCEPTED, 1);
    this.#count(OPEN, 1);
  }

  closed() {
    this.#count(OPEN, -1);
  }

  // finished counts a request that ends with this status after so many nanoseconds.
  finished(status, duration) {
    if (--this.#running === 0) Atomics.store(this.#state, BUSY, 0);
    this.#count(FINISHED, 1);
    if (status >= 100 && status < 600) this.#count(FINISHED + 8 * Math.floor(status / 100), 1);
    this.#count(HISTOGRAM + 8 * bucket(duration), 1);
    this.#count(DURATION, Math.round(duration));
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
    this.#count(TIMEOUTS, 1);
  }

  logDropped() {
    this.#count(LOG_DROPPED, 1);
  }

  get started() {
    return this.#started;
  }

  // take counts a request that begins, and puts it into a free slot, if there is one. Each character of the texts is a byte.
  take(start, deadline, method, path, id) {
    const bytes = this.#bytes;
    const words = this.#words;
    this.#started++;
    this.#count(STARTED, 1);
    if (this.#running++ === 0) {
      Atomics.store(this.#state, BUSY, 1);
      Atomics.notify(this.#state, BUSY);
    }
    const slot = this.#free.pop();
    if (slot === undefined) {
      this.#count(UNSLOTTED, 1);
      return NO_SLOT;
    }
    if (slot >= this.#used) {
      this.#used = slot + 1;
      set32(words, SLOT_COUNT, this.#used);
      this.#write(SLOT_COUNT, 4);
    }
    const at = FIRST_SLOT + SLOT_SIZE * slot;
    this.#add(at, 1); // odd, while the rest is being written
    set64(words, at + 8, start);
    set64(words, at + PROGRESS, start);
    set64(words, at + DEADLINE, deadline);
    bytes[at + 36] = text(bytes, at + METHOD, PATH - METHOD, method);
    bytes[at + 37] = text(bytes, at + PATH, ID - PATH, path);
    bytes[at + 38] = text(bytes, at + ID, TEXTS_END - ID, id);
    set32(words, at + FLAGS, IN_USE);
    this.#add(at, 1);
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
      for (let slot = 0; slot < this.#used; slot++) this.#changed.add(slot);
    }
    if (this.#counted) {
      this.#counted = false;
      this.#write(STARTED, COUNTERS_END - STARTED);
    }
    for (const slot of this.#changed) this.#show(slot);
    this.#changed.clear();
    if (Atomics.load(this.#state, TURN) % 2) Atomics.add(this.#state, TURN, 1);
  }

  #show(slot) {
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

  #count(at, n) {
    this.#add(at, n);
    this.#changeCounters();
  }

  #changeCounters() {
    this.#counted = true;
    this.#later();
  }

  #change(slot) {
    this.#changed.add(slot);
    this.#later();
  }

  #later() {
    if (this.#fd < 0 || this.#state[TURN] % 2) return;
    Atomics.add(this.#state, TURN, 1);
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

// bucket is where the histogram has a duration.
function bucket(duration) {
  if (duration < 2 ** 14) return 0;
  const exponent = Math.floor(Math.log2(duration)) - 14;
  if (exponent >= 31) return 63;
  return 1 + 2 * exponent + (duration >= 1.5 * 2 ** (14 + exponent) ? 1 : 0);
}

function text(bytes, at, room, value) {
  const length = bytes.latin1Write(value, at, Math.min(room, value.length));
  for (let i = at; i < at + length; i++) {
    if (bytes[i] < 0x20 || bytes[i] > 0x7e) bytes[i] = 0x3f;
  }
  return length;
}

const ONLOOKER = { BUSY, TURN, WRITTEN };
const LAYOUT = { SIZE, SLOT_COUNT, DRAIN_UNTIL, ABORT_FOLLOWS, STARTED, COUNTERS_END, FIRST_SLOT, SLOT_SIZE, PROGRESS, DEADLINE, FLAGS, FINISHED, TIMEOUTS };

module.exports = { Board, ONLOOKER, LAYOUT, SLOTS, NO_SLOT, READY, DRAINING, STREAMING, UPGRADED, ENDED };
