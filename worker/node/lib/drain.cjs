'use strict';
// How a worker finishes without dropping anything.

const { setMaxListeners } = require('node:events');
const net = require('node:net');
const { DRAINING } = require('./board.cjs');
const { now, MS } = require('./clock.cjs');

const QUIET_QUEUE = 1000; // milliseconds, as FRESH_CONNECTION
const FRESH_CONNECTION = 1000;
const DRAIN_MARGIN = 250 * MS;
const ORPHAN_GRACE = 1500 * MS;
const UNBOUNDED_DRAIN = 30_000 * MS;

// A Drain is that of one server: when it is asked for, until when it may take, and what happens in it.
class Drain {
  listeners = []; // the servers, each with its socket and its intake, if it has one
  connections = new Set();
  #abort = new AbortController();
  #given;
  #board;
  #gate;
  #notify;
  #ledger;

  constructor(given, board, gate, notify, ledger) {
    this.#gate = gate;
    this.#given = given;
    this.#board = board;
    this.#notify = notify;
    this.#ledger = ledger;
    setMaxListeners(0, this.signal); // one for each stream, as many as there are
  }

  // signal is aborted when the drain begins.
  get signal() {
    return this.#abort.signal;
  }

  // accepted notes a connection. One that never sends anything ends when it would if it were idle.
  accepted(socket) {
    this.connections.add(socket);
    if (this.signal.aborted) this.#bound(socket);
    socket.once('close', () => this.connections.delete(socket));
  }

  // begin has every answer be the last of its connection, and the process exit when all are given.
  begin(orphaned = false) {
    if (this.signal.aborted) return;
    this.#board.setState(DRAINING);
    this.#gate.present(false);
    this.#notify.tell('STOPPING=1');
    const begun = now();
    for (const { exchange } of this.#ledger.deadlines.running) exchange.last();
    for (const socket of this.connections) {
      if (socket.bytesRead === 0) this.#bound(socket);
    }
    const closing = this.listeners.map((listener, i) => closed(listener, this.#board.leaving(i)));
    Promise.all(closing).then(() => process.exit(0));
    const look = setInterval(() => {
      const until = orphaned ? begun + ORPHAN_GRACE : this.#board.drainUntil() || begun + UNBOUNDED_DRAIN;
      if (now() < until - DRAIN_MARGIN) return;
      clearInterval(look);
      this.#ledger.cut();
      for (const socket of this.connections) socket.destroySoon();
      setTimeout(() => process.exit(0), DRAIN_MARGIN / MS / 4);
    }, 50);
    this.#abort.abort();
  }

  #bound(socket) {
    socket.setTimeout(Math.max(this.#given.keepalive, FRESH_CONNECTION));
  }
}

// closed closes a listener, when its queue has been empty for a while if nobody else accepts from it, and waits for its
// connections. What waits for one that is held is for others. The close of node:http would end the idle ones, where a client may be about to send its next request.
async function closed({ server, intake }, leaving) {
  if (leaving && !intake?.held) {
    intake?.force();
    await new Promise((resolve) => {
      const quiet = setTimeout(resolve, QUIET_QUEUE);
      server.on('connection', () => quiet.refresh());
    });
  }
  await new Promise((resolve) => net.Server.prototype.close.call(server, resolve));
}

module.exports = { Drain };
