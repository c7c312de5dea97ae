'use strict';
// Which of the workers that share a queue takes the next connection.
//
// The rule. A connection wakes every worker. Each looks at the fleet page: if somebody else has room and is less busy, the
// connection is left to them; of those who are as busy, to one with at least two connections fewer, since these bring
// requests later. What is left is left for a moment only, at most 5 ms and in proportion to how much of this worker's own
// load is the excess, and the worker looks again after each millisecond. If the connection is still there at the end, this
// worker takes it, and does not wait again for the one that let it lie, until that one shows a sign of life (its beat moves)
// or a time has passed that doubles from 1 ms to 10 s. An excess that the worker works off within a look is none: those who
// end a request every few microseconds are as busy as each other.

const { now, MS } = require('./clock.cjs');

const STEP = MS;
const LONGEST_YIELD = 5 * MS;
const SHORTEST_YIELD = LONGEST_YIELD / 20;
const FIRST_SILENCE = MS;
const LAST_SILENCE = 10_000 * MS;
const OPEN_MATTERS = 2;
const MAX_RIVALS = 64;
const RECOUNT = 1000 * MS;
const BEYOND = 4;

// A Spread is the rule for one worker, in its own place.
class Spread {
  #fleet;
  #own;
  #silent = new Map(); // by place
  #requests = 0; // ended in a STEP
  #connections = 0; // closed in a LONGEST_YIELD
  #looked = 0;
  #seen = { ended: 0, closed: 0 };
  #taken; // places up to the last one in which somebody was seen
  #counted = 0;

  constructor(fleet, place) {
    this.#fleet = fleet;
    this.#own = place;
    this.#taken = place + 1;
  }

  // consider says for how long the next connection is to be left to the worker in a place, or until this one is no busier
  // than a mark; undefined if it is not.
  consider({ busy, open, ended, closed }) {
    if (busy === 0 && open < OPEN_MATTERS) return undefined;
    const time = now();
    this.#observe(time, ended, closed);
    this.#count(time);
    let least = { place: -1, busy, open };
    let fewest = least;
    const limit = busy + this.#requests;
    for (let i = 0; i < Math.min(this.#taken - 1, MAX_RIVALS); i++) {
      const place = (this.#own + 1 + i) % this.#taken;
      const o = this.#fleet.occupant(place);
      if (o.id === 0 || o.busy > limit || (o.capacity > 0 && o.busy >= o.capacity) || this.#disregarded(place, o, time)) continue;
      if (o.busy < least.busy || (o.busy === least.busy && o.open < least.open)) least = { place, ...o };
      if (o.open < fewest.open || (o.open === fewest.open && o.busy < fewest.busy)) fewest = { place, ...o };
    }
    if (busy - least.busy > this.#requests) return leave(least.place, busy - least.busy, busy, least.busy);
    const excess = open - fewest.open;
    if (excess < OPEN_MATTERS || excess <= this.#connections) return undefined;
    return leave(fewest.place, excess, open, Math.min(busy, fewest.busy) - this.#requests - 1);
  }

  // disregard remembers a worker that did not take what was left to it.
  disregard(place) {
    const { id, beat } = this.#fleet.occupant(place);
    const was = this.#silent.get(place);
    const same = was && was.id === id && was.beat === beat;
    const length = same ? Math.min(2 * was.length, LAST_SILENCE) : FIRST_SILENCE;
    this.#silent.set(place, { id, beat, until: now() + length, length });
  }

  #disregarded(place, o, time) {
    const was = this.#silent.get(place);
    if (!was) return false;
    if (was.id === o.id && was.beat === o.beat) return time < was.until;
    this.#silent.delete(place);
    return false;
  }

  // count reads the page as far as there are others, and a few places further; all of it once in a while.
  #count(time) {
    const { places } = this.#fleet;
    let end = this.#taken + BEYOND;
    if (time - this.#counted >= RECOUNT) {
      this.#taken = this.#own + 1;
      this.#counted = time;
      end = places;
    }
    this.#fleet.read(Math.min(end, places));
    for (let place = this.#taken; place < Math.min(end, places); place++) {
      if (this.#fleet.busy(place) >= 0) this.#taken = place + 1;
    }
  }

  #observe(time, ended, closed) {
    const passed = time - this.#looked;
    if (passed < STEP) return;
    this.#requests = Math.floor((STEP * (ended - this.#seen.ended)) / passed);
    this.#connections = Math.floor((LONGEST_YIELD * (closed - this.#seen.closed)) / passed);
    this.#looked = time;
    this.#seen = { ended, closed };
  }
}

function leave(place, excess, own, until) {
  const time = Math.floor((LONGEST_YIELD * excess) / own);
  return time >= SHORTEST_YIELD ? { time, place, until } : undefined;
}

module.exports = { Spread, STEP };
