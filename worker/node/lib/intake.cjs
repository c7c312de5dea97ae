'use strict';
// Takes connections from a listening socket one at a time, and only those that are for this worker.
//
// libuv accepts whatever comes. But the handle of a server that was opened by its descriptor can be told to stop and to
// start reading as one of a connection can, and that is accepting. What waits in the queue meanwhile a second handle of the
// same descriptor shows: to read from a listening socket fails as soon as there is a connection. Only one of the two is
// ever polled, which is what libuv asks for, and the second is never closed, since it would close the descriptor.

const { now, MS } = require('./clock.cjs');
const { STEP } = require('./spread.cjs');

const SOCKET = 0; // of TCPConstants and PipeConstants
const watching = []; // for good
const NEVER = 2 ** 31 - 1;

class Intake {
  #handle;
  #watch;
  #fd;
  #gate;
  #spread;
  #accepting = true;
  #held; // nothing is accepted, nor polled, and so a timer keeps the process alive
  #over = false; // there is nothing to consider any more
  #timer;
  #yielded = 0; // since when the first in the queue is left to others, 0 if it is not
  #turns = 0; // counts what is done, so that what comes later knows whether it is still of interest

  // possible is whether Node seems to have a way to have the intake of a server that listens on an inherited descriptor.
  static possible(server) {
    const { fd, onconnection, close, readStart, readStop } = server._handle;
    return fd >= 0 && [onconnection, close, readStart, readStop].every((one) => typeof one === 'function');
  }

  // on is that intake, which accepts nothing while it is held; undefined where this Node has no way to have one, and accepts
  // whatever comes.
  static on(server, gate, spread, held) {
    const handle = server._handle;
    const watch = Intake.possible(server) ? second(handle) : undefined;
    return watch && new Intake(handle, watch, gate, spread, held);
  }

  constructor(handle, watch, gate, spread, held) {
    this.#handle = handle;
    this.#watch = watch;
    this.#fd = handle.fd;
    this.#gate = gate;
    this.#spread = spread;
    watch.onread = () => this.#attempt();
    const { onconnection, close } = handle;
    const accepted = () => this.#over || this.#look();
    handle.onconnection = function (...args) {
      accepted();
      onconnection.apply(this, args);
    };
    const closed = () => this.#close();
    handle.close = function (...args) {
      closed();
      return close.apply(this, args);
    };
    if (held) {
      this.#accepting = false;
      this.#held = setInterval(() => {}, NEVER);
    } else {
      this.#look();
    }
  }

  get held() {
    return this.#held !== undefined;
  }

  // release accepts from now on.
  release() {
    if (!this.held || this.#over) return;
    clearInterval(this.#held);
    this.#held = undefined;
    if (this.#spread || this.#gate.limited) this.#look();
    else this.force();
  }

  // force accepts all there is from here on.
  force() {
    this.#over = true;
    this.#unwait();
    this.#accept();
  }

  // close looks at nothing any more: the descriptor is about to be closed, and may then be anything.
  #close() {
    this.#over = true;
    this.#turns++;
    this.#unwait();
    clearInterval(this.#held);
    this.#watch.readStop();
  }

  // resume looks at what waits, instead of waiting any longer.
  resume() {
    this.#unwait();
    this.#look();
    if (this.#yielded) this.#afterPoll(() => (this.#yielded = 0)); // what was left was taken
  }

  // look waits for a connection to be in the queue.
  #look() {
    this.#turns++;
    if (this.#accepting) this.#handle.readStop();
    this.#accepting = false;
    this.#unblock(); // and that a read failed does not count any more
    this.#watch.readStart();
  }

  // unblock sets O_NONBLOCK, which all have in common who have the socket, and any of them can take away at any time: libuv
  // does so when it is given a descriptor, and the handle has this one.
  #unblock() {
    this.#watch.open(this.#fd);
  }

  #accept() {
    this.#turns++;
    this.#watch.readStop();
    this.#unblock();
    if (!this.#accepting) this.#handle.readStart();
    this.#accepting = true;
  }

  // attempt is called when there is something to accept. Nothing is polled.
  #attempt() {
    if (this.#over) return;
    this.#turns++;
    const left = this.#gate.expireFresh();
    if (this.#gate.full) {
      this.#wait(left, this.#gate.room);
      return;
    }
    if (this.#leaveToOthers()) return;
    this.#accept();
    this.#afterPoll(() => this.#look()); // somebody else was faster, and the next one is to be considered too
  }

  #leaveToOthers() {
    const leave = this.#spread?.consider(this.#gate.standing());
    if (!leave) {
      this.#yielded = 0;
      return false;
    }
    const time = now();
    this.#yielded ||= time;
    const left = leave.time - (time - this.#yielded);
    if (left > 0) {
      this.#wait(Math.min(left, STEP), leave.until);
      return true;
    }
    this.#yielded = 0;
    this.#spread.disregard(leave.place);
    return false;
  }

  // wait polls nothing for so long, 0 for ever, or until the worker is no busier than the mark.
  #wait(duration, mark) {
    if (duration > 0) this.#timer = setTimeout(() => this.resume(), Math.ceil(duration / MS));
    if (mark >= 0) this.#gate.await(this, mark);
  }

  #unwait() {
    clearTimeout(this.#timer);
    this.#gate.unawait(this);
  }

  // afterPoll calls a function if nothing has come of the next poll.
  #afterPoll(then) {
    const turns = this.#turns;
    setImmediate(() => setImmediate(() => turns === this.#turns && then()));
  }
}

// second is a second handle of the descriptor of a first one, undefined if either cannot do what is asked of it here, which
// Node promises to nobody.
function second(handle) {
  try {
    if (handle.readStart() !== 0) return undefined;
    const watch = new handle.constructor(SOCKET);
    handle.readStop();
    if (watch.open(handle.fd) === 0) {
      watching.push(watch);
      if (watch.readStart() === 0 && watch.readStop() === 0) return watch;
    }
  } catch {}
  handle.readStart();
  return undefined;
}

module.exports = { Intake };
