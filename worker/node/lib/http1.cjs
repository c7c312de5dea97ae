'use strict';
// What is noted of the requests of a server of node:http or node:https, and how one is ended in the place of its
// application.

const http = require('node:http');
const { accepted } = require('./drain.cjs');
const { OK, CLIENT_GONE, WAITING, STREAMING, UPGRADED } = require('./ledger.cjs');
const { RETRY_AFTER, SAID, TEXT, raw } = require('./answers.cjs');
const lines = require('./lines.cjs');

const LINGER = 1000; // milliseconds
const NOTED = Symbol('what gosuper knows of it');
const NAMES = []; // whether a header of that many characters may be one of these
for (const name of ['x-request-id', 'traceparent', 'content-length', 'transfer-encoding', 'referer', 'user-agent']) NAMES[name.length] = true;
const { prototype } = http.ServerResponse;
const { write, end, flushHeaders } = prototype;

// An Exchange is what a request has of its connection.
class Exchange {
  taken = 0;

  constructor(socket) {
    this.socket = socket;
  }

  get connection() {
    return accepted(this.socket);
  }

  last() {}

  // take has this loop answer, and returns whether it may: another thread has not.
  take() {
    return true;
  }

  // wrote notes a write of the application, which is progress at once, if that is not noted, or when what waited is on its
  // way. From Node 24 on a response keeps it until the end of what runs now.
  wrote(request, writable, fits, noted = false) {
    if (fits && !noted) request.touch();
    if (writable.writableCorked > 0) process.nextTick(this.note, this);
    else this.note(this);
    if (fits || this.waits) return;
    this.waits = true;
    writable.once('drain', () => {
      this.waits = false;
      request.touch();
    });
  }

  note(exchange) {
    if (exchange.socket.writableLength > 0) exchange.taken = taken(exchange.socket);
  }

  // delivered is whether the client has taken something of what waits, since something was written or this was asked.
  delivered() {
    if (this.socket.writableLength === 0) return false;
    const before = this.taken;
    this.taken = taken(this.socket);
    return this.taken !== before;
  }
}

// An Answer is that with a response of node:http.
class Answer extends Exchange {
  constructor(incoming, response, logged) {
    super(incoming.socket);
    this.incoming = incoming;
    this.response = response;
    this.logged = logged;
    this.line = lines.of(this.socket);
  }

  answer(status) {
    const { response } = this;
    linger(this.socket, this.incoming);
    response._header = null; // of a head that waits for its body
    if (response.headersSent) {
      this.cut();
      return;
    }
    response.chunkedEncoding = false;
    response.statusMessage = undefined;
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    const body = `${TEXT[status]}\n`;
    response.shouldKeepAlive = false;
    response.writeHead(status, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': body.length,
      'Retry-After': RETRY_AFTER,
      Connection: 'close',
    });
    end.call(response, body);
    silence(response);
  }

  take() {
    return this.line === undefined || this.line.take();
  }

  get answered() {
    return this.line?.status ?? 0;
  }

  drop() {
    this.line.accounted();
    linger(this.socket, this.incoming);
    silence(this.response);
    this.socket.destroySoon();
  }

  // last has the connection end with this answer.
  last() {
    if (this.response.headersSent) return;
    this.response.shouldKeepAlive = false;
    linger(this.socket, this.incoming);
  }

  cut() {
    const { response, socket } = this;
    destroy(socket, !response.chunkedEncoding && !response.hasHeader('content-length'));
    response.destroy();
  }
}

// An Upgrade is a connection that the application has got.
class Upgrade extends Exchange {
  answer(status) {
    const { socket } = this;
    plain(socket).end.call(socket, raw(status));
    socket.write = () => true;
    socket.end = () => socket;
  }

  cut() {
    destroy(this.socket, true);
  }
}

// silence has nothing that the application still says throw, which would end the worker and all its requests.
function silence(response) {
  for (const name of SAID) response[name] = () => response;
  response.write = () => true;
  response.end = () => response;
}

// begin has a ledger account for a request, and returns whether none did at an event before this one: returned follows then.
// last is asked to have its answer be the last of its connection, if it is that.
function begin(ledger, last, incoming, response) {
  if (response[NOTED]) return false;
  const said = new Said(ledger, incoming);
  const request = ledger.begin(said, new Answer(incoming, response, ledger.logged));
  response[NOTED] = request;
  request.exchange.line?.begin(request.slot);
  last(request.exchange);
  if (said.body) notePush(incoming, request);
  return true;
}

// returned is called when the application has begun to work on a request, or has done so already: most answers are whole by
// then, and nobody need wait for them to be closed.
function returned(response) {
  const request = response[NOTED];
  if (request.phase !== WAITING && whole(response)) finish(request, OK, request.progress);
  else response.on('close', closed);
}

// whole is whether the kernel has all of a response.
function whole({ writableEnded, outputSize, destroyed, socket }) {
  return writableEnded && outputSize === 0 && !destroyed && socket?.writableLength === 0;
}

// Said is what the client said. The headers as an object, which node:http makes when it is asked for them, are for the
// application to pay for.
class Said {
  remote = '';
  proto = '';
  referer = '';
  agent = '';
  id = '';
  body = false; // whether there is one

  constructor(ledger, { method, url, socket, httpVersion, rawHeaders }) {
    this.method = method;
    this.target = url;
    if (ledger.logged) {
      this.remote = socket.remoteAddress ?? '';
      this.proto = `HTTP/${httpVersion}`;
    }
    let trace = '';
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const value = rawHeaders[i + 1];
      switch (NAMES[rawHeaders[i].length] ? rawHeaders[i].toLowerCase() : '') {
        case 'x-request-id':
          this.id ||= value;
          break;
        case 'traceparent':
          trace ||= value;
          break;
        case 'content-length':
          this.body ||= value !== '0';
          break;
        case 'transfer-encoding':
          this.body = true;
          break;
        case 'referer':
          this.referer ||= value;
          break;
        case 'user-agent':
          this.agent ||= value;
      }
    }
    this.id ||= trace;
  }
}

const plain = Object.getPrototypeOf;

// What a response does is noted by its prototype, which costs less than methods of its own and stays where an application
// gives it another that inherits from this one.
prototype.write = function (chunk, encoding, callback) {
  const request = this[NOTED];
  if (request === undefined) return write.call(this, chunk, encoding, callback);
  if (request.exchange.logged) request.bytes += length(this, chunk, encoding);
  if (!request.takes()) return true;
  const fits = write.call(this, chunk, encoding, callback);
  wrote(this, request, fits);
  return fits;
};

prototype.end = function (chunk, encoding, callback) {
  const request = this[NOTED];
  if (request === undefined) return end.call(this, chunk, encoding, callback);
  if (request.exchange.logged) request.bytes += length(this, chunk, encoding);
  if (!request.takes()) return this;
  const result = end.call(this, chunk, encoding, callback);
  wrote(this, request, true);
  return result;
};

prototype.flushHeaders = function () {
  const request = this[NOTED];
  if (request !== undefined && !request.takes()) return;
  flushHeaders.call(this);
  if (request !== undefined) wrote(this, request, true);
};

function wrote(response, request, fits) {
  if (request.finished) return;
  const begins = request.phase === WAITING && underway(response);
  if (begins) request.begin(response.statusCode, STREAMING);
  request.exchange.wrote(request, response, fits, begins);
}

// underway is whether the head of a response was sent, or is about to be with the part of a body that was written.
function underway(response) {
  return response._headerSent !== false || (response.headersSent && response._hasBody);
}

function length(response, chunk, encoding) {
  if (!chunk || typeof chunk === 'function' || response.writableEnded || response._hasBody === false) return 0;
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.byteLength;
}

function closed() {
  finish(this[NOTED], this.writableFinished ? OK : CLIENT_GONE);
}

function finish(request, ended, time) {
  request.finish(ended, time);
  if (ended === OK) request.exchange.line?.idle();
}

// upgrade has it account for a connection that the application gets.
function upgrade(ledger, incoming, socket) {
  lines.of(socket)?.leave();
  const request = ledger.begin(new Said(ledger, incoming), new Upgrade(socket));
  for (const name of ['write', 'end']) {
    socket[name] = function (chunk, encoding, callback) {
      if (request.phase === WAITING && chunk && typeof chunk !== 'function') answered(request, chunk);
      const result = plain(this)[name].call(this, chunk, encoding, callback);
      if (!request.finished) request.exchange.wrote(request, this, result !== false);
      return result;
    };
  }
  notePush(socket, request);
  socket.once('close', () => request.finish(OK));
}

// answered notes how the application has begun to answer an upgrade.
function answered(request, chunk) {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(String(chunk.slice(0, 16)))?.[1] ?? 101);
  request.begin(status, status === 101 || request.said.method === 'CONNECT' ? UPGRADED : STREAMING);
}

// notePush takes what arrives from the client for progress.
function notePush(readable, request) {
  const { push } = readable;
  readable.push = function (chunk, encoding) {
    request.touch();
    return push.call(this, chunk, encoding);
  };
}

// closeIdle closes a connection that was idle for long enough, if that is so still when what has arrived is read: timers
// come first in a loop that was held up.
function closeIdle(socket) {
  const before = socket.bytesRead;
  setImmediate(() => {
    if (socket.bytesRead === before) socket.destroy();
  });
  return true;
}

// linger has a connection that ends with an answer be read from until the client has seen it: to close it with something
// unread resets it, and what was sent may be lost.
function linger(socket, incoming) {
  socket.destroySoon = function () {
    if (incoming.complete) return plain(this).destroySoon.call(this);
    incoming.resume();
    this.end();
    setTimeout(() => this.destroy(), LINGER).unref();
  };
}

function taken(socket) {
  const handle = socket?._handle?._parent ?? socket?._handle;
  return handle?.bytesWritten - handle?.writeQueueSize || 0; // where Node does not say nothing is known to be taken
}

function destroy(socket, reset) {
  if (!socket || socket.destroyed) return;
  try {
    if (reset && !socket.encrypted) socket.resetAndDestroy();
  } catch {} // of a unix socket, which has no reset
  socket.destroy();
}

// atOnce has a connection write a whole answer as one part: before Node 24 an empty one follows it, which costs more.
function atOnce(socket) {
  if (typeof socket._writev === 'function') socket._writev = writeParts;
}

function writeParts(parts, callback) {
  const { chunk, encoding } = parts[0];
  if (parts.length === 2 && parts[1].chunk.length === 0) this._write(chunk, encoding, callback);
  else plain(this)._writev.call(this, parts, callback);
}

module.exports = { begin, returned, upgrade, closeIdle, atOnce };
