'use strict';
// Answers from another thread in the place of a loop that is blocked, on the connections of lines.cjs.

const fs = require('node:fs');
const { raw } = require('./answers.cjs');
const { ENDED, LAYOUT } = require('./board.cjs');
const { NEVER } = require('./clock.cjs');
const { TABLE, WORD } = require('./lines.cjs');
const { get64, set64, view } = require('./words.cjs');

const { USED, SHOWN, WORDS, SLOTS } = TABLE;
const { KIND, IDLE, WAITING, TAKEN } = WORD;
const { FIRST_SLOT, SLOT_SIZE, PROGRESS, DEADLINE, FLAGS, FINISHED, TIMEOUTS } = LAYOUT;
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
    let first = NEVER;
    for (let i = 0; i < this.#words[USED]; i++) {
      if (this.#kind(i) === WAITING) first = Math.min(first, this.#dueOf(i));
    }
    return first;
  }

  // expire answers those that are due by a time, and returns how many.
  expire(time) {
    let answered = 0;
    for (let i = 0; i < this.#words[USED]; i++) {
      if (this.#kind(i) === WAITING && this.#dueOf(i) <= time && this.#answer(i, 504)) answered++;
    }
    return answered;
  }

  // refuse answers all others, also who has asked for something that nobody has read yet, and returns how many.
  refuse() {
    let answered = 0;
    for (let i = 0; i < this.#words[USED]; i++) {
      if (this.#kind(i) !== 0 && this.#answer(i, 503)) answered++;
    }
    return answered;
  }

  // account adds to the counters of the board what the loop has not yet: the requests that were answered here.
  account(counters) {
    const words = view(counters);
    const count = (at) => set64(words, at, get64(words, at) + 1);
    for (let i = 0; i < this.#words[USED]; i++) {
      const status = -Atomics.load(this.#words, WORDS + i);
      if (status < 100 || this.#words[SLOTS + i] === NO_REQUEST) continue;
      count(FINISHED);
      count(FINISHED + 8 * Math.floor(status / 100));
      if (status === 504) count(TIMEOUTS);
    }
  }

  // kind is of which kind a word is, 0 if this thread may not answer.
  #kind(i) {
    return Math.max(0, Atomics.load(this.#words, WORDS + i)) % KIND;
  }

  #dueOf(i) {
    const slot = this.#words[SLOTS + i];
    if (slot < 0) return NEVER;
    const at = FIRST_SLOT + SLOT_SIZE * slot;
    const deadline = get64(this.#board, at + DEADLINE) || NEVER;
    return this.#timeout ? Math.min(deadline, get64(this.#board, at + PROGRESS) + this.#timeout) : deadline;
  }

  #answer(i, status) {
    const word = Atomics.load(this.#words, WORDS + i);
    if (word <= 0 || Atomics.compareExchange(this.#words, WORDS + i, word, TAKEN) !== word) return false;
    if (word % KIND === IDLE) this.#words[SLOTS + i] = NO_REQUEST;
    const slot = this.#words[SLOTS + i];
    const done = this.#write(Math.floor(word / KIND), status, slot === NO_REQUEST);
    if (done && slot >= 0) this.#bytes[FIRST_SLOT + SLOT_SIZE * slot + FLAGS] |= ENDED;
    Atomics.store(this.#words, WORDS + i, done ? -status : word);
    Atomics.notify(this.#words, WORDS + i);
    return done;
  }

  // write writes an answer, and takes what has arrived before, so that the end of the connection is no reset.
  #write(fd, status, onlyIfAsked) {
    try {
      if (!this.#read(fd) && onlyIfAsked) return false;
      fs.writeSync(fd, raw(status));
      return true;
    } catch {
      return false; // the client is gone, or its socket takes nothing
    }
  }

  // read is whether anything had arrived.
  #read(fd) {
    let some = false;
    try {
      while (fs.readSync(fd, this.#rest) > 0) some = true;
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
    return some;
  }
}

module.exports = { Deputy };
