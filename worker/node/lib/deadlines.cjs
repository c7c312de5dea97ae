'use strict';
// When requests are due, with one timer for all of them.

const { now, MS, NEVER } = require('./clock.cjs');

// An alarm that goes off later than LATENESS says that the process was stopped or starved, or its event loop held by
// somebody: what is due by then, or within as long again, is given what that took. After OVERDUE_GRACE the master would
// have replaced the worker, so it was stopped too, and the time of all requests begins anew.
const LATENESS = 100 * MS;
const OVERDUE_GRACE = 1000 * MS;
// So long before something is due, and from then on so often, the alarm goes off: it would not be late, or not by enough,
// where the process was stopped until just before.
const FORESIGHT = 500 * MS;
const PULSE = 100 * MS;

// How far a request has got: nothing of a final response was sent; part of one was; it speaks a protocol of its own.
const WAITING = 0;
const STREAMING = 1;
const UPGRADED = 2;

// The requests that are running, in no order. Each knows its index among them.
class Running {
  #all = [];

  get size() {
    return this.#all.length;
  }

  add(request) {
    request.index = this.#all.length;
    this.#all.push(request);
  }

  delete(request) {
    const last = this.#all.pop();
    if (last === request) return;
    last.index = request.index;
    this.#all[last.index] = last;
  }

  // They may be deleted while this goes over them.
  [Symbol.iterator]() {
    return [...this.#all].values();
  }
}

class Deadlines {
  // Whoever adds a request calls begun.
  running = new Running();
  #limits;
  #expire;
  #at = NEVER;
  #timer;
  #shortest;

  // The limits are nanoseconds, 0 for none.
  constructor(limits, expire) {
    this.#limits = limits;
    this.#expire = expire;
    const first = [limits.timeout, limits.request].filter((limit) => limit > 0);
    this.#shortest = Math.min(...first.map((limit) => lookAt(0, limit)), NEVER);
  }

  // begun sees to it that the alarm goes off for a request that begins. Progress only makes one due later, so it does not
  // move the alarm: while requests come in faster than limits run out none of them sets it.
  begun(request) {
    if (request.start + this.#shortest < this.#at) this.#arm(request.start + this.#shortest, request.start);
  }

  // look looks again at a request that may be due earlier than it was.
  look(request) {
    const at = this.#due(request);
    if (at >= this.#at) return;
    const time = now();
    this.#arm(lookAt(time, at), time);
  }

  #due(request) {
    const { timeout, stream, upgrade } = this.#limits;
    const idle = request.phase === WAITING ? timeout : request.phase === STREAMING ? stream : upgrade;
    return Math.min(idle ? request.progress + idle : NEVER, request.deadline || NEVER);
  }

  #arm(at, time) {
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(() => this.#fire(), Math.ceil(Math.max(0, at - time) / MS)).unref();
  }

  #fire() {
    const time = now();
    const late = time - this.#at;
    let earliest = NEVER;
    this.#at = NEVER;
    for (const request of this.running) {
      if (request.finished) continue;
      if (request.exchange.answered) {
        this.#expire(request);
        continue;
      }
      let at = this.#due(request);
      if (late > OVERDUE_GRACE || (late > LATENESS && at <= time + late)) {
        request.forgive(late > OVERDUE_GRACE ? time : Math.min(time, request.progress + late));
        at = this.#due(request);
      }
      if (at <= time) {
        this.#expire(request);
        at = request.finished ? NEVER : this.#due(request);
      }
      earliest = Math.min(earliest, at);
    }
    if (earliest < this.#at) this.#arm(lookAt(time, earliest), time);
  }
}

// lookAt is when to look next at what is due at a time.
function lookAt(time, at) {
  return Math.min(at, Math.max(at - FORESIGHT, time + PULSE));
}

module.exports = { Deadlines, WAITING, STREAMING, UPGRADED };
