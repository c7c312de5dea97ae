'use strict';
// A worker of gosuper for servers of node:http and node:https.

const fs = require('node:fs');
const net = require('node:net');
const { take } = require('./environ.cjs');
const { AccessLog } = require('./accesslog.cjs');
const { Board, READY } = require('./board.cjs');
const { Drain } = require('./drain.cjs');
const { Fleet } = require('./fleet.cjs');
const { Gate } = require('./gate.cjs');
const { Intake } = require('./intake.cjs');
const { Ledger, OK, log: tell } = require('./ledger.cjs');
const { watchLoop } = require('./onlooker.cjs');
const { Lines } = require('./lines.cjs');
const { Notifier } = require('./notify.cjs');
const { Spread } = require('./spread.cjs');
const { watch } = require('./watch.cjs');

// Above every net.core.somaxconn in use: the master sets the backlog that it wants.
const UNLIMITED = 2 ** 31 - 1;

const given = take(process.env, process.pid);
const board = new Board(given.scoreboard);
if (given.scoreboard >= 0) board.writeHeader(process.pid);
const notify = new Notifier(given.notify);
const log = given.access >= 0 ? new AccessLog(given.access, given.accessFormat, given.worker.id) : undefined;
const fleet = new Fleet(given.fleet);
const gate = new Gate(given.limits.connections, fleet.place(given.worker.place), given.worker.id);
const ledger = new Ledger(board, gate, given.limits, notify, log);
const lines = given.scoreboard >= 0 ? new Lines() : undefined;
const drain = new Drain(given, board, gate, notify, ledger);

let served = false;

// listen serves on the inherited sockets, or on a port when there is no master.
async function listen(server, port = 8000) {
  if (given.stray) throw new Error(given.stray);
  if (given.sockets.length === 0) {
    await listening(server, { port });
    return;
  }
  if (served) throw new Error('the sockets of this worker have a server; let another one listen by itself, on its own port');
  served = true;
  if (given.backlogTimeout > 0) {
    tell('backlog_timeout is not kept: Node does not say how long a connection has waited; worker_class = "proxy" keeps it');
  }
  watch(server, ledger, drain, given.keepalive, lines, given.tls >= 0 ? pread(given.tls) : undefined);
  const spread = given.worker.place < fleet.places ? new Spread(fleet, given.worker.place) : undefined;
  const choosy = spread !== undefined || gate.limited;
  const held = board.holds();
  let capable = true;
  drain.listeners = await Promise.all(
    given.sockets.map(async (fd, i) => {
      // A server has one socket; those of the others come to it as if it had accepted them.
      const one = i === 0 ? server : net.createServer((socket) => server.emit('connection', socket));
      await listening(one, { fd, backlog: UNLIMITED });
      const intake = choosy || held ? Intake.on(one, gate, spread, held) : undefined;
      capable &&= choosy || held ? intake !== undefined : Intake.possible(one);
      return { server: one, intake };
    }),
  );
  if (choosy && !capable) {
    tell(`Node ${process.version} cannot leave connections in the queue: worker_connections and even spreading are not kept`);
  }
  if (lines) watchLoop(board, lines, given.limits.timeout);
  const hears = notify.hear(told, () => drain.begin(true));
  if (hears) board.canTell();
  if (hears && capable) board.canHold();
  released();
  if (given.watchdog > 0) setInterval(() => board.beat(), given.watchdog / 2).unref();
  process.on(given.stopSignal, () => drain.begin());
  board.setState(READY);
  notify.tell('READY=1');
}

// told hears what the master says, which the board means.
function told() {
  ledger.look();
  released();
}

// released accepts connections, unless this worker is still a spare.
function released() {
  if (board.holds() || drain.signal.aborted) return;
  const slot = board.slot();
  if (slot >= 0) {
    given.worker.slot = slot;
    process.env.GOSUPER_SLOT = String(slot);
  }
  for (const { intake } of drain.listeners) intake?.release();
  gate.present(true);
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

// recycle asks for a replacement of this worker, which serves on until that is ready.
function recycle(reason) {
  notify.recycle(reason);
}

// pread is the text behind a descriptor whose position others share.
function pread(fd) {
  const bytes = Buffer.alloc(fs.fstatSync(fd).size);
  fs.readSync(fd, bytes, 0, bytes.length, 0);
  return bytes.toString('latin1');
}

// request accounts for a request of a protocol of one's own.
function request(method, path) {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const exchange = { connection: undefined, last() {}, take: () => true, delivered: () => false, answer: stop, cut: stop };
  const bytes = (text) => Buffer.from(text).toString('latin1');
  const said = { remote: '', method: bytes(method), target: bytes(path), proto: '', referer: '', agent: '', id: '' };
  const one = ledger.begin(said, exchange);
  return {
    signal: controller.signal,
    progress: () => one.touch(),
    end(status) {
      if (!one.finished) one.status = status;
      one.finish(OK);
    },
  };
}

module.exports = { listen, recycle, request, draining: drain.signal, worker: given.worker };
