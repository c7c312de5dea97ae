'use strict';
// Tells the master what it wants to know, by messages on a socket of this worker alone.

const fs = require('node:fs');

const LONGEST_REASON = 32;

class Notifier {
  #fd;
  #pipe;
  #recycling = false;

  constructor(fd) {
    this.#fd = fd;
  }

  tell(text) {
    if (this.#fd < 0) return;
    try {
      fs.writeSync(this.#fd, text);
    } catch {} // a full buffer is a master in trouble, and a closed one is a master that is gone
  }

  // hear calls a function when the master says something, and another one when it is gone. Where Node does not give a socket of
  // this kind away it hears nothing, which is what it returns, and looks once a second who its parent is.
  hear(said, gone) {
    try {
      const { Pipe, constants } = process.binding('pipe_wrap');
      const pipe = new Pipe(constants.SOCKET);
      if (pipe.open(this.#fd) !== 0) throw new Error('no socket');
      pipe.onread = (data) => {
        if (data === undefined) gone();
        else said();
      };
      pipe.readStart();
      pipe.unref();
      this.#pipe = pipe;
      return true;
    } catch {
      const master = process.ppid;
      setInterval(() => process.ppid !== master && gone(), 1000).unref();
      return false;
    }
  }

  // failing has the master look at the failures on the board.
  failing() {
    this.tell('X_GOSUPER_FAILING=1');
  }

  // busy says that as many requests are in flight as the master wants to hear of.
  busy() {
    this.tell('X_GOSUPER_BUSY=1');
  }

  // recycle asks for a replacement, once.
  recycle(reason) {
    if (this.#recycling) return;
    this.#recycling = true;
    this.tell(`X_GOSUPER_RECYCLE=${word(reason)}`);
  }
}

// word makes of a reason what the master takes for one: small letters, digits and underscores.
function word(reason) {
  const parts = String(reason).toLowerCase().match(/[a-z0-9]+/g) ?? ['worker'];
  return parts.join('_').slice(0, LONGEST_REASON);
}

module.exports = { Notifier };
