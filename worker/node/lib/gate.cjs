'use strict';
// What keeps this worker busy: requests, and connections that have not sent their first one yet.

const { now, MS } = require('./clock.cjs');

// For how long a connection that has sent no request counts.
const FRESH = 1000 * MS;

// A Gate counts what the worker is at work on, tells the others, and says whether there is room for one more connection. A
// connection's first request takes over what the connection counted. Requests are never held back: the connections that
// they come on cannot go anywhere else.
class Gate {
  #limit;
  #place;
  #id;
  #busy = 0;
  #open = 0;
  #ended = 0;
  #closed = 0;
  #fresh = new Map(); // when they were admitted, oldest first
  #waiting = new Map(); // who is called when the worker is no busier than a mark

  // A limit of 0 is none.
  constructor(limit, place, id) {
    this.#limit = limit;
    this.#place = place;
    this.#id = id;
  }

  get limited() {
    return this.#limit > 0;
  }

  get full() {
    return this.#limit > 0 && this.#busy >= this.#limit;
  }

  // room is how busy the worker may be at most to have room.
  get room() {
    return this.#limit - 1;
  }

  // standing is what the worker has to do, and has done.
  standing() {
    return { busy: this.#busy, open: this.#open, ended: this.#ended, closed: this.#closed };
  }

  // present tells the others whether this worker accepts connections at present.
  present(accepts) {
    if (accepts) this.#place.enter(this.#id, this.#limit);
    else this.#place.leave();
  }

  admit(connection) {
    this.#open++;
    this.#busy++;
    this.#fresh.set(connection, now());
    this.#tell();
  }

  forget(connection) {
    this.#open--;
    this.#closed++;
    if (this.#fresh.delete(connection)) this.#busy--;
    this.#tell();
  }

  // begin counts a request that begins on a connection; finish follows.
  begin(connection) {
    if (this.#fresh.size > 0 && this.#fresh.delete(connection)) return;
    this.#busy++;
    this.#tell();
  }

  finish() {
    this.#busy--;
    this.#ended++;
    this.#tell();
  }

  // expireFresh takes off the connections that are not fresh any more, and says how long the next one has left, 0 if there
  // is none.
  expireFresh() {
    if (this.#fresh.size === 0) return 0;
    const time = now();
    let left = 0;
    let expired = 0;
    for (const [connection, admitted] of this.#fresh) {
      left = Math.max(0, admitted + FRESH - time);
      if (left > 0) break;
      this.#fresh.delete(connection);
      expired++;
    }
    this.#busy -= expired;
    if (expired > 0) this.#tell();
    return left;
  }

  // await has one of the intakes called, once, when the worker is no busier than the mark.
  await(intake, mark) {
    this.#waiting.set(intake, mark);
  }

  // unawait says that one does not wait any more.
  unawait(intake) {
    this.#waiting.delete(intake);
  }

  #tell() {
    this.#place.set(this.#busy, this.#open);
    if (this.#waiting.size === 0) return;
    for (const [intake, mark] of this.#waiting) {
      if (this.#busy <= mark) intake.resume();
    }
  }
}

module.exports = { Gate };
