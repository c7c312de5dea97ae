'use strict';
// Accounts for every request of a server: on the board, and against its limit.

const { NO_SLOT, STREAMING, ENDED } = require('./board.cjs');

const RETRY_AFTER = '5';
const SAID = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'writeHead', 'flushHeaders', 'write', 'end'];
const now = () => process.hrtime.bigint();

class Requests {
  #board;
  #given;
  #running = new Set();
  sockets = new Set();
  draining = false;

  constructor(board, given) {
    this.#board = board;
    this.#given = given;
  }

  // watch accounts for the connections and requests of a server of node:http.
  watch(server) {
    const secure = server.listenerCount('secureConnection') > 0;
    server.prependListener(secure ? 'secureConnection' : 'connection', (socket) => this.#accepted(socket));
    server.prependListener('request', (request, response) => this.#begin(request, response));
    if (this.#given.keepalive > 0) server.keepAliveTimeout = this.#given.keepalive;
  }

  // drain lets every answer be the last of its connection.
  drain() {
    this.draining = true;
    for (const { response } of this.#running) last(response);
    for (const socket of this.sockets) {
      if (socket.bytesRead === 0) socket.setTimeout(this.#given.keepalive || 1000);
    }
  }

  // cut ends what is left.
  cut() {
    for (const socket of this.sockets) socket.resetAndDestroy?.() ?? socket.destroy();
  }

  #accepted(socket) {
    this.#board.accepted();
    this.sockets.add(socket);
    if (this.draining) socket.setTimeout(this.#given.keepalive || 1000);
    socket.once('close', () => {
      this.sockets.delete(socket);
      this.#board.closed();
    });
  }

  #begin(request, response) {
    const start = now();
    const id = request.headers['x-request-id'] ?? request.headers.traceparent ?? '';
    const slot = this.#board.take(start, 0n, request.method, request.url.split('?', 1)[0], id);
    const one = { response, start, slot, progress: start, alarm: undefined, ended: false };
    this.#running.add(one);
    if (this.draining || this.#given.keepalive === 0) last(response);
    const touch = () => this.#touch(one);
    for (const name of ['write', 'end']) {
      const plain = response[name];
      response[name] = function (...args) {
        const result = plain.apply(this, args);
        touch();
        return result;
      };
    }
    const push = request.push;
    request.push = function (...args) {
      touch();
      return push.apply(this, args);
    };
    response.once('close', () => this.#finish(one));
    if (this.#given.timeout > 0) one.alarm = setTimeout(() => this.#due(one), this.#given.timeout);
  }

  #touch(one) {
    if (one.ended) return;
    one.progress = now();
    this.#board.progress(one.slot, one.progress);
    if (!one.response.headersSent) return;
    if (!one.streaming) this.#board.mark(one.slot, STREAMING);
    one.streaming = true;
    clearTimeout(one.alarm); // which is of the time before the answer
  }

  #due(one) {
    const left = this.#given.timeout - Number((now() - one.progress) / 1_000_000n);
    if (left > 0) {
      one.alarm = setTimeout(() => this.#due(one), left);
      return;
    }
    const { response } = one;
    one.ended = true;
    this.#board.mark(one.slot, ENDED);
    this.#board.timedOut();
    if (response.headersSent) {
      response.destroy();
      return;
    }
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    const body = 'Gateway Timeout\n';
    response.writeHead(504, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': body.length,
      'Retry-After': RETRY_AFTER,
      Connection: 'close',
    });
    response.end(body);
    one.status = 504;
    // What the application still says must not throw, which would end the worker and all its requests.
    for (const name of SAID) response[name] = () => response;
  }

  #finish(one) {
    if (!this.#running.delete(one)) return;
    clearTimeout(one.alarm);
    this.#board.finished(one.status ?? one.response.statusCode, now() - one.start);
    this.#board.free(one.slot);
    one.slot = NO_SLOT;
  }
}

function last(response) {
  if (!response.headersSent) response.shouldKeepAlive = false;
}

module.exports = { Requests, now };
