'use strict';
const assert = require('node:assert');
const http = require('node:http');
const { once } = require('node:events');
const { test } = require('node:test');
const { serve, SHORT, LONG } = require('../testing/serve.cjs');

const start = (t, limits, handler) => serve(t, limits, http.createServer(handler));

test('responses that an application gives another prototype are accounted for, and those of others are not', { timeout: LONG }, async (t) => {
  const theirs = Object.create(http.ServerResponse.prototype);
  const handler = (request, response) => Object.setPrototypeOf(response, theirs).end('all');
  const { line, raw, board } = await start(t, {}, handler);
  raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const { status, bytes, firstByte } = await line();
  assert.deepEqual([status, bytes, firstByte > 0], [200, 3, true]);
  const other = http.createServer((request, response) => {
    response.flushHeaders();
    response.write('a');
    response.end('ll');
  });
  t.after(() => other.close());
  await once(other.listen(0, '127.0.0.1'), 'listening');
  const answer = await fetch(`http://127.0.0.1:${other.address().port}/`, { headers: { Connection: 'close' } });
  assert.equal(await answer.text(), 'all');
  assert.equal(board.started, 1);
});

test('all requests that are due are ended', { timeout: LONG }, async (t) => {
  const { raw, lines, ledger } = await start(t, { timeout: SHORT }, (request, response) => request.url === '/soon' && response.end());
  const sockets = ['/', '/soon', '/', '/', '/soon'].map((path) => raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
  await Promise.all(sockets.map(({ closed_ }) => closed_));
  assert.deepEqual(lines.map(({ status }) => status).sort(), [200, 200, 504, 504, 504]);
  assert.equal(ledger.deadlines.running.size, 0);
});

test('a whole answer is one write, and one of several parts is whole', { timeout: LONG }, async (t) => {
  const handler = (request, response) => (request.url === '/a' ? response.end('h\u00e9') : response.write('h\u00e9') && response.end(Buffer.from('!')));
  const { server, raw } = await start(t, {}, handler);
  const written = [];
  server.on('connection', (socket) => {
    socket._write = function (chunk, encoding, callback) {
      written.push(chunk);
      return Object.getPrototypeOf(this)._write.call(this, chunk, encoding, callback);
    };
  });
  const got = async (path) => {
    const socket = raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await socket.closed_;
    return Buffer.from(socket.got, 'latin1').toString();
  };
  assert.match(await got('/a'), /\r\nContent-Length: 3\r\n\r\nh\u00e9$/);
  assert.equal(written.length, 1);
  assert.match(written[0], /h\u00e9$/);
  assert.match(await got('/b'), /\r\n\r\n\d\r\nh\u00e9(\r\n1\r\n)?!\r\n0\r\n\r\n$/);
});

test('a request is over when its answer is whole and its application has returned, or is gone', { timeout: LONG }, async (t) => {
  const running = [];
  const { server, line, raw, ledger } = await start(t, {}, (request, response) => {
    if (request.url !== '/throw') response.end();
    running.push(ledger.deadlines.running.size);
    if (request.url === '/throw') throw new Error('not caught here');
    setImmediate(() => running.push(ledger.deadlines.running.size));
  });
  const { emit } = server;
  server.emit = function (...args) {
    try {
      return emit.apply(this, args);
    } catch {
      return true; // as who listens for what nobody has caught
    }
  };
  const get = (path) => raw(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  get('/');
  const { status, ended, duration, firstByte } = await line();
  assert.deepEqual([status, ended, duration], [200, 'ok', firstByte]); // so it is accounted for as it was sent
  await new Promise(setImmediate);
  assert.deepEqual(running, [1, 0]);
  const client = get('/throw');
  while (running.length < 3) await new Promise(setImmediate);
  client.destroy();
  assert.equal((await line()).ended, 'client_gone');
});
