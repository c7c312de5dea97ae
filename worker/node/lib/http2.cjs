'use strict';
// What is noted of the streams of a server of node:http2, whether its application takes them as streams or as requests, and
// how one is ended in its place.

const { constants } = require('node:http2');
const { OK, CLIENT_GONE, WAITING, STREAMING } = require('./ledger.cjs');
const { RETRY_AFTER, SAID, TEXT } = require('./answers.cjs');

const HIGHEST_STREAM = 2 ** 31 - 1;
const FRESH = 1000; // milliseconds for what is on its way when a client is told to go elsewhere
const NOTED = Symbol('what gosuper knows of it');

// An Exchange is what a request has of its stream.
class Exchange {
  response; // of an application that takes it as a request
  #stream;
  #left = 0; // bytes that waited when this was last asked

  constructor(stream) {
    this.#stream = stream;
  }

  get connection() {
    return this.#stream.session?.[NOTED];
  }

  last() {} // the session says it

  take() {
    return true;
  }

  wrote() {
    this.#left = this.#stream.writableLength;
  }

  delivered() {
    const before = this.#left;
    this.#left = this.#stream.writableLength;
    return this.#left < before;
  }

  answer(status) {
    const stream = this.#stream;
    const { respond, end } = Object.getPrototypeOf(stream);
    this.#silence();
    if (stream.destroyed) return;
    respond.call(stream, {
      ':status': status,
      'content-type': 'text/plain; charset=utf-8',
      'retry-after': RETRY_AFTER,
    });
    end.call(stream, `${TEXT[status]}\n`);
  }

  cut() {
    this.#silence();
    this.#stream.on('error', () => {}); // of what the application was writing
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  // silence has nothing that the application still says throw, which would end the worker and all its requests.
  #silence() {
    const { response } = this;
    const stream = this.#stream;
    for (const name of ['respond', 'respondWithFile', 'respondWithFD', 'additionalHeaders', 'sendTrailers']) stream[name] = () => {};
    for (const writable of response ? [stream, response] : [stream]) {
      writable.write = () => true;
      writable.end = () => writable;
    }
    if (response) for (const name of SAID) response[name] = () => response;
  }
}

// begin has a ledger account for a stream.
function begin(ledger, stream, headers) {
  const request = ledger.begin(said(ledger, stream, headers), new Exchange(stream));
  stream[NOTED] = request;
  for (const name of ['respond', 'respondWithFile', 'respondWithFD']) {
    const plain = stream[name];
    stream[name] = function (...args) {
      const result = plain.apply(this, args);
      const fields = args[name === 'respond' ? 0 : 1];
      if (request.phase === WAITING) request.begin(Number(fields?.[':status'] ?? 200), STREAMING);
      return result;
    };
  }
  for (const name of ['write', 'end']) {
    const plain = stream[name];
    stream[name] = function (chunk, encoding, callback) {
      if (chunk && typeof chunk !== 'function') request.bytes += Buffer.byteLength(chunk, encoding);
      const fits = plain.call(this, chunk, encoding, callback) !== false;
      request.exchange.wrote();
      if (fits) request.touch();
      return name === 'end' ? this : fits;
    };
  }
  stream.on('drain', () => request.touch());
  const { push } = stream;
  stream.push = function (chunk, encoding) {
    request.touch();
    return push.call(this, chunk, encoding);
  };
  stream.once('close', () => request.finish(stream.rstCode === constants.NGHTTP2_NO_ERROR ? OK : CLIENT_GONE));
}

// taken notes that the application gets a stream as a request.
function taken(response) {
  response.stream[NOTED].exchange.response = response;
}

function said(ledger, stream, headers) {
  return {
    remote: (ledger.logged && stream.session?.socket?.remoteAddress) || '',
    method: headers[':method'] ?? '',
    target: headers[':path'] ?? '',
    proto: 'HTTP/2.0',
    referer: headers.referer ?? '',
    agent: headers['user-agent'] ?? '',
    id: String(headers['x-request-id'] ?? headers.traceparent ?? ''),
  };
}

// session has a session end when it is idle for so many milliseconds, or when a drain begins. Its client hears first that
// it should go elsewhere, and what it had sent by then is served.
function session(one, drain, keepalive, connection) {
  one[NOTED] = connection;
  const goAway = () => {
    if (one.destroyed) return;
    one.goaway(constants.NGHTTP2_NO_ERROR, HIGHEST_STREAM);
    setTimeout(() => one.close(), FRESH);
  };
  const leave = () => setTimeout(goAway, drain.turn(connection));
  drain.signal.addEventListener('abort', leave);
  one.once('close', () => drain.signal.removeEventListener('abort', leave));
  if (drain.signal.aborted) leave();
  if (keepalive === 0) return;
  let streams = 0;
  one.on('stream', (stream) => {
    streams++;
    stream.once('close', () => streams--);
  });
  one.setTimeout(keepalive, () => streams === 0 && one.close());
}

module.exports = { begin, session, taken };
