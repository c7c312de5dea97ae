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
const TURN_STEP = MS;
const TURN_SPAN = 2000 * MS;

// A Drain is that of one server: when it is asked for, until when it may take, and what happens in it.
class Drain {
  listeners = []; // the servers, each with its socket and its intake, if it has one
  connections = new Set();
  #abort = new AbortController();
  #turns = new WeakMap(); // when each of the connections that there are when it begins may end with an answer
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

  // turn is in how many milliseconds an answer on a connection is to be its last.
  turn(connection) {
    return Math.max(0, (this.#turns.get(connection) ?? 0) - now()) / MS;
  }

  // ends has an answer be the last of its connection, once that is its turn.
  ends(exchange) {
    const wait = this.turn(exchange.connection);
    if (wait === 0) exchange.last();
    else setTimeout(() => exchange.last(), Math.ceil(wait)).unref();
  }

  // begin has every connection end with an answer, and the process exit when all are given.
  begin(orphaned = false) {
    if (this.signal.aborted) return;
    this.#board.setState(DRAINING);
    this.#gate.present(false);
    this.#notify.tell('STOPPING=1');
    const begun = now();
    const end = () => (orphaned ? begun + ORPHAN_GRACE : this.#board.drainUntil() || begun + UNBOUNDED_DRAIN) - DRAIN_MARGIN;
    this.#takeTurns(begun, Math.min(TURN_SPAN, (end() - begun) / 4));
    for (const { exchange } of this.#ledger.deadlines.running) this.ends(exchange);
    for (const socket of this.connections) {
      if (socket.bytesRead === 0) this.#bound(socket);
    }
    const closing = this.listeners.map((listener, i) => closed(listener, this.#board.leaving(i)));
    Promise.all(closing).then(() => process.exit(0));
    const look = setInterval(() => {
      if (now() < end()) return;
      clearInterval(look);
      this.#ledger.cut();
      for (const socket of this.connections) socket.destroySoon();
      setTimeout(() => process.exit(0), DRAIN_MARGIN / MS / 4);
    }, 50);
    this.#abort.abort();
  }

  // takeTurns gives each connection its turn to end with an answer, first those with a request under way: were all to end
  // with their next ones, all clients would connect anew at the same moment.
  #takeTurns(begun, span) {
    const running = [...this.#ledger.deadlines.running].map(({ exchange }) => exchange.connection);
    const all = new Set([...running, ...[...this.connections].map(accepted)].filter((one) => one !== undefined));
    const step = Math.min(TURN_STEP, span / all.size);
    let turn = begun;
    for (const connection of all) {
      this.#turns.set(connection, turn);
      turn += step;
    }
  }

  #bound(socket) {
    socket.setTimeout(Math.max(this.#given.keepalive, FRESH_CONNECTION));
  }
}

// accepted is what was accepted, which TLS may lie upon.
function accepted(socket) {
  return socket._parent ?? socket;
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

module.exports = { Drain, accepted };
