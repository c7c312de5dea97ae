'use strict';
// Tells the master what it wants to know, by messages on a socket of this worker alone.

const fs = require('node:fs');

const REASON = /^[a-z0-9_]{1,32}$/;

class Notifier {
  #fd;
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

  // recycle asks for a replacement, once.
  recycle(reason) {
    if (typeof reason !== 'string' || !REASON.test(reason)) {
      throw new TypeError(`the reason ${JSON.stringify(reason)} is not 1 to 32 small letters, digits and underscores`);
    }
    if (this.#recycling) return;
    this.#recycling = true;
    this.tell(`X_GOSUPER_RECYCLE=${reason}`);
  }
}

module.exports = { Notifier };
