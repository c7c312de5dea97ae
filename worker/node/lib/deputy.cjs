'use strict';
// Answers from another thread in the place of a loop that is blocked, on the connections of lines.cjs.

const fs = require('node:fs');
const { raw } = require('./answers.cjs');
const { ENDED } = require('./board.cjs');
const { NEVER } = require('./clock.cjs');
const LAYOUT = require('./layout.cjs');
const { TABLE, WORD } = require('./lines.cjs');
const { get64, set64, view } = require('./words.cjs');

const { USED, SHOWN, WORDS, SLOTS } = TABLE;
const { KIND, IDLE, WAITING, TAKEN } = WORD;
const { FIRST_SLOT, SLOT_SIZE, PROGRESS, DEADLINE, FLAGS, FINISHED, TIMEOUTS } = LAYOUT;
const PIECES = 256; // that are read, more than a socket holds: a client may send faster than they are
const NO_REQUEST = -2; // in the place of a slot, for a connection on which nothing was running

class Deputy {
  #words;
  #bytes;
  #board;
  #timeout;
  #rest = Buffer.alloc(65536); // what nobody reads any more

  // The memory is that of the board, and the timeout is nanoseconds, 0 for none.
  constructor({ lines, memory, timeout }) {
    this.#words = lines;
    this.#bytes = Buffer.from(memory);
    this.#board = view(this.#bytes);
    this.#timeout = timeout;
  }

  // blocked is whether the loop, which is asked to, does not show itself within so many milliseconds.
  blocked(ask, milliseconds) {
    const shown = Atomics.load(this.#words, SHOWN);
    ask();
    return Atomics.wait(this.#words, SHOWN, shown, milliseconds) === 'timed-out';
  }

  // due is when the first of the requests is that have no answer.
  due() {
    return this.#first((i) => this.#dueOf(i));
  }

  // oldest is when the first of them began, or got on.
  oldest() {
    return this.#first((i) => this.#timeOf(i, PROGRESS));
  }

  // expire answers those that are due by a time, and returns how many.
  expire(time) {
    let answered = 0;
    for (let i = 0; i < this.#words[USED]; i++) {
      const word = this.#word(i);
      if (kind(word) === WAITING && this.#dueOf(i) <= time && this.#answer(i, word, 504, time)) answered++;
    }
    return answered;
  }

  // refuse answers all others, also who has asked for something that nobody has read yet, and returns how many.
  refuse() {
    let answered = 0;
    for (let i = 0; i < this.#words[USED]; i++) {
      const word = this.#word(i);
      if (kind(word) !== 0 && this.#answer(i, word, 503, NEVER)) answered++;
    }
    return answered;
  }

  // account adds to the counters of the board what the loop has not yet: the requests that were answered here.
  account(counters) {
    const words = view(counters);
    const count = (at) => set64(words, at, get64(words, at) + 1);
    for (let i = 0; i < this.#words[USED]; i++) {
      const status = -this.#word(i);
      if (status < 100 || this.#words[SLOTS + i] === NO_REQUEST) continue;
      count(FINISHED);
      count(FINISHED + 8 * Math.floor(status / 100));
      if (status === 504) count(TIMEOUTS);
    }
  }

  #word(i) {
    return Atomics.load(this.#words, WORDS + i);
  }

  // first is the earliest of these times of the requests that have no answer.
  #first(time) {
    let first = NEVER;
    for (let i = 0; i < this.#words[USED]; i++) {
      if (kind(this.#word(i)) === WAITING && this.#words[SLOTS + i] >= 0) first = Math.min(first, time(i));
    }
    return first;
  }

  #timeOf(i, at) {
    return get64(this.#board, FIRST_SLOT + SLOT_SIZE * this.#words[SLOTS + i] + at);
  }

  #dueOf(i) {
    if (this.#words[SLOTS + i] < 0) return NEVER;
    const deadline = this.#timeOf(i, DEADLINE) || NEVER;
    return this.#timeout ? Math.min(deadline, this.#timeOf(i, PROGRESS) + this.#timeout) : deadline;
  }

  // answer answers on a line that has still this word, if its request is due by a time, and returns whether it did. The loop
  // may have been back, and the word be that of a later request on the connection: only here that cannot change any more.
  #answer(i, word, status, time) {
    if (Atomics.compareExchange(this.#words, WORDS + i, word, TAKEN) !== word) return false;
    const fd = Math.floor(word / KIND);
    let after = word;
    let answered = false;
    if (kind(word) === IDLE && this.#read(fd)) {
      after = -status; // whether it can be said or not: what was read the loop will never see
      this.#words[SLOTS + i] = NO_REQUEST;
      answered = write(fd, status);
    } else if (kind(word) === WAITING && this.#dueOf(i) <= time && write(fd, status)) {
      after = -status;
      answered = true;
      const slot = this.#words[SLOTS + i];
      if (slot >= 0) this.#bytes[FIRST_SLOT + SLOT_SIZE * slot + FLAGS] |= ENDED;
      this.#read(fd);
    }
    Atomics.store(this.#words, WORDS + i, after);
    Atomics.notify(this.#words, WORDS + i);
    return answered;
  }

  // read takes what has arrived, so that the end of the connection is no reset, and returns whether there was something.
  #read(fd) {
    let pieces = 0;
    try {
      while (pieces < PIECES && fs.readSync(fd, this.#rest) > 0) pieces++;
    } catch {} // there is no more, or the client is gone
    return pieces > 0;
  }
}

// kind is of which kind a word is, 0 if this thread may not answer.
function kind(word) {
  return Math.max(0, word) % KIND;
}

// write is whether an answer could be written, or the beginning of it: the client may be gone, or its socket take nothing.
function write(fd, status) {
  try {
    return fs.writeSync(fd, raw(status)) > 0;
  } catch {
    return false;
  }
}

module.exports = { Deputy };
