'use strict';
// A worker of gosuper for servers of node:http and node:https.

const fs = require('node:fs');
const net = require('node:net');
const { take } = require('./environ.cjs');
const { Board, READY, DRAINING } = require('./board.cjs');
const { Requests, now } = require('./requests.cjs');

const QUIET_QUEUE = 1000;
const DRAIN_MARGIN = 250_000_000n;
const ORPHAN_GRACE = 1_500_000_000n;
const UNBOUNDED_DRAIN = 30_000_000_000n;

const given = take(process.env, process.pid);
const board = new Board(given.scoreboard);
if (given.scoreboard >= 0) board.writeHeader(process.pid);
const abort = new AbortController();

function notify(text) {
  if (given.notify < 0) return;
  try {
    fs.writeSync(given.notify, text);
  } catch {} // a full buffer is a master in trouble, and a closed one is a master that is gone
}

// listen serves on the inherited sockets, or on a port when there is no master.
async function listen(server, port = 8000) {
  if (given.stray) throw new Error(given.stray);
  if (given.sockets.length === 0) {
    await listening(server, { port });
    return;
  }
  const requests = new Requests(board, given);
  requests.watch(server);
  // A server has one socket; those of the others come to it as if it had accepted them.
  const listeners = given.sockets.map((_, i) =>
    i === 0 ? server : net.createServer({ pauseOnConnect: false }, (socket) => server.emit('connection', socket)),
  );
  await Promise.all(listeners.map((one, i) => listening(one, { fd: given.sockets[i] })));
  const master = process.ppid;
  setInterval(() => process.ppid !== master && drain(listeners, requests, now() + ORPHAN_GRACE), 1000).unref();
  if (given.watchdog > 0) setInterval(() => board.beat(), given.watchdog / 2).unref();
  process.on(given.stopSignal, () => drain(listeners, requests));
  board.setState(READY);
  notify('READY=1');
}

function listening(server, options) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function drain(listeners, requests, orphaned = 0n) {
  if (abort.signal.aborted) return;
  board.setState(DRAINING);
  notify('STOPPING=1');
  requests.drain();
  abort.abort();
  const begun = now();
  setInterval(() => {
    const until = orphaned || board.drainUntil() || begun + UNBOUNDED_DRAIN;
    if (now() < until - DRAIN_MARGIN) return;
    requests.cut();
    process.exit(0);
  }, 50);
  Promise.all(listeners.map((listener, i) => closed(listener, board.leaving(i)))).then(() => process.exit(0));
}

// closed closes a listener, when its queue has been empty for a while if nobody else accepts from it, and waits for its
// connections. The close of node:http would end the idle ones, where a client may be about to send its next request.
async function closed(listener, leaving) {
  if (leaving) {
    await new Promise((resolve) => {
      const quiet = setTimeout(resolve, QUIET_QUEUE);
      listener.on('connection', () => quiet.refresh());
    });
  }
  await new Promise((resolve) => net.Server.prototype.close.call(listener, resolve));
}

module.exports = { listen, draining: abort.signal, worker: given.worker };
