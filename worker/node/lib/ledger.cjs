'use strict';
// Accounts for every request: on the board, in the access log, against its limits.

const { ENDED, NO_SLOT, STREAMING: BEGUN, UPGRADED: TAKEN_OVER } = require('./board.cjs');
const { CLIENT_GONE, DRAIN, OK, TIMEOUT } = require('./accesslog.cjs');
const { Deadlines, WAITING, STREAMING, UPGRADED } = require('./deadlines.cjs');
const { now } = require('./clock.cjs');

// What asks how the worker is: that may go well with one that only fails.
const PROBE = /^\/((metrics|ping)(\?|$)|health|live|ready)/;
const FLAGS = [0, BEGUN, TAKEN_OVER];

// A Request is what the ledger knows of one. It is finished once: when its answer is complete, when its connection is
// closed, or when its deadline has passed, whichever is first.
class Request {
  phase = WAITING;
  status = 0;
  bytes = 0; // of the body sent
  first = 0; // when the response began, 0 before
  finished = false;
  slot = NO_SLOT;
  index = 0; // among those that are running
  #ledger;

  // Said is what the client said: remote, method, target, proto, referer, agent and id, each character a byte. The
  // exchange answers a request in its application's place, cuts it, and says what was delivered, and whether another thread
  // has answered it; then it drops it.
  constructor(ledger, said, exchange, start, deadline) {
    this.#ledger = ledger;
    this.said = said;
    this.exchange = exchange;
    this.start = this.progress = start;
    this.deadline = deadline;
  }

  touch() {
    if (this.finished) return;
    this.progress = now();
    this.#ledger.board.progress(this.slot, this.progress);
  }

  forgive(progress) {
    this.progress = progress;
    this.#ledger.board.forgive(this.slot, progress);
  }

  // begin notes that the response begins.
  begin(status, phase) {
    if (this.finished) return;
    this.phase = phase;
    this.status = status;
    this.first = this.progress = now();
    const { board, deadlines, hastier } = this.#ledger;
    board.progress(this.slot, this.progress);
    board.mark(this.slot, FLAGS[phase]);
    if (hastier[phase]) deadlines.look(this);
  }

  // takes is whether the application may answer. It may not where another thread did, while the event loop was blocked.
  takes() {
    if (this.finished || this.phase !== WAITING || this.exchange.take()) return true;
    this.#ledger.expire(this);
    return false;
  }

  // finish accounts for the request, unless that was done.
  finish(ended, time = now()) {
    if (!this.finished) this.#ledger.finish(this, ended, time);
  }
}

class Ledger {
  board;
  deadlines;
  hastier; // for each phase, whether a request may be due earlier when it begins
  #gate;
  #limits;
  #notify;
  #log;
  #busyAt = 0; // requests in flight of which the master is to hear, 0: of none

  constructor(board, gate, limits, notify, log) {
    this.board = board;
    this.#gate = gate;
    this.deadlines = new Deadlines(limits, (request) => this.expire(request));
    const { timeout, stream, upgrade } = limits;
    this.hastier = [0, stream, upgrade].map((limit) => limit > 0 && (!timeout || limit < timeout));
    this.#limits = limits;
    this.#notify = notify;
    this.#log = log;
  }

  get logged() {
    return this.#log !== undefined;
  }

  // accepted accounts for a connection.
  accepted(socket) {
    this.board.accepted();
    this.#gate.admit(socket);
    socket.once('close', () => {
      this.board.closed();
      this.#gate.forget(socket);
    });
  }

  // begin accounts for a request that begins.
  begin(said, exchange) {
    const start = now();
    const deadline = this.#limits.request ? start + this.#limits.request : 0;
    const request = new Request(this, said, exchange, start, deadline);
    const query = said.target.indexOf('?');
    const path = query < 0 ? said.target : said.target.slice(0, query);
    request.slot = this.board.take(start, deadline, said.method, path, said.id);
    this.#gate.begin(exchange.connection);
    this.deadlines.running.add(request);
    this.deadlines.begun(request);
    if (this.board.started === this.#limits.requests) this.#notify.recycle('max_requests');
    if (this.#busyAt > 0) this.#tellBusy();
    return request;
  }

  // look is called when the master has said something, perhaps of how many requests it wants to hear.
  look() {
    this.#busyAt = this.board.busyAt();
    this.#tellBusy();
  }

  #tellBusy() {
    if (this.#busyAt === 0 || this.deadlines.running.size < this.#busyAt) return;
    this.#busyAt = 0;
    this.board.flush();
    this.#notify.busy();
  }

  finish(request, ended, time) {
    request.finished = true;
    this.deadlines.running.delete(request);
    this.board.finished(request.status, time - request.start);
    this.board.free(request.slot);
    if (this.#limits.failures > 0) this.#judge(request, ended, time);
    if (this.#log) {
      const { status, bytes, start, first } = request;
      const { remote, method, target, proto, referer, agent, id } = request.said;
      const client = { remote, method, target, proto, referer, agent, id };
      const entry = { ...client, status, bytes, duration: time - start, firstByte: first ? first - start : -1, ended };
      if (!this.#log.write(entry)) this.board.logDropped();
    }
    this.#gate.finish();
  }

  // judge counts how the application has answered, which a response that was broken off does not say.
  #judge(request, ended, time) {
    const { status, start, said } = request;
    if (ended !== OK || status === 0 || PROBE.test(said.target)) return;
    if (status < 500) {
      this.board.succeeded(start);
    } else if (this.board.failed(time) % this.#limits.failures === 0) {
      this.board.flush();
      this.#notify.failing();
    }
  }

  // cut ends what is left at the end of a drain.
  cut() {
    const left = [...this.deadlines.running];
    if (left.length > 0) log(`${left.length} requests were cut at the end of the drain`);
    for (const request of left) this.#end(request, 503, DRAIN);
  }

  // expire ends a request whose time is over, unless its client has just taken something.
  expire(request) {
    if (request.phase !== WAITING && request.exchange.delivered()) {
      request.touch();
      return;
    }
    const { method, target, id } = request.said;
    const name = `${method} ${JSON.stringify(target.split('?', 1)[0])}${id ? ` (${JSON.stringify(id)})` : ''}`;
    log(`${name} was ended at its limit after ${((now() - request.start) / 1e9).toFixed(3)} s`);
    this.board.timedOut();
    this.#end(request, 504, TIMEOUT);
  }

  // end takes a request away from its application: answered if nothing was sent, else cut.
  #end(request, status, ended) {
    const { phase, exchange, slot } = request;
    const ours = phase !== WAITING || exchange.take();
    this.board.mark(slot, ENDED);
    if (phase === WAITING) {
      request.status = status;
      request.first = now();
    }
    request.finish(ended);
    if (!ours) exchange.drop();
    else if (phase === WAITING) exchange.answer(status);
    else exchange.cut();
  }
}

function log(text) {
  process.stderr.write(`gosuper: ${text}\n`);
}

module.exports = { Ledger, OK, CLIENT_GONE, WAITING, STREAMING, UPGRADED, log };
