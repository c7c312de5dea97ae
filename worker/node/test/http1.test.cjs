'use strict';
const assert = require('node:assert');
const http = require('node:http');
const { once } = require('node:events');
const { test } = require('node:test');
const { MS } = require('../lib/clock.cjs');
const { serve, SHORT, LONG, pause } = require('../testing/serve.cjs');

const start = (t, limits, handler) => serve(t, limits, http.createServer(handler));

const LINGER = 1000; // milliseconds, as in http1.cjs
const GET = 'GET /a?secret HTTP/1.1\r\nHost: x\r\nX-Request-Id: 7\r\n\r\n';

test('what is answered has its line', { timeout: LONG }, async (t) => {
  const { line, raw } = await start(t, {}, (request, response) => {
    response.writeHead(203);
    response.write('h\u00e9');
    response.end(Buffer.from('!'));
  });
  const socket = raw('GET /a?b HTTP/1.1\r\nHost: x\r\nReferer: r\r\nUser-Agent: u\r\nX-Request-Id: 7\r\n\r\n');
  const { duration, firstByte, ...rest } = await line();
  assert.deepEqual(rest, {
    remote: '127.0.0.1',
    method: 'GET',
    target: '/a?b',
    proto: 'HTTP/1.1',
    status: 203,
    bytes: 4,
    referer: 'r',
    agent: 'u',
    id: '7',
    ended: 'ok',
  });
  assert.ok(firstByte > 0 && firstByte <= duration);
  socket.write('HEAD / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal((await line()).bytes, 0);
});

test('a request is answered at its limit if nothing was sent', { timeout: LONG }, async (t) => {
  let late;
  const { line, raw, board } = await start(t, { timeout: SHORT }, async (request, response) => {
    if (request.url === '/head') response.writeHead(201, { 'Content-Length': 5, 'X-App': 'yes' });
    if (request.url === '/early') response.writeEarlyHints({ link: '</a>; rel=preload' });
    await once(response, 'close');
    response.setHeader('X-Late', 'yes');
    response.writeHead(200);
    late = response.write('late');
    response.end('late');
  });
  for (const path of ['/', '/head', '/early']) {
    const begin = performance.now();
    const socket = raw(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    assert.equal(await socket.closed_, '');
    const took = performance.now() - begin;
    assert.ok(took >= SHORT, `${took} ms`);
    const answer = socket.got.replace(/^HTTP\/1.1 103 [^]*?\r\n\r\n/, '');
    assert.match(answer, /^HTTP\/1.1 504 Gateway Timeout\r\n/);
    assert.match(answer, /\r\nRetry-After: 5\r\n/);
    assert.match(answer, /\r\nConnection: close\r\n[^]*\r\n\r\nGateway Timeout\n$/);
    assert.doesNotMatch(answer, /X-App|late/i);
    const { status, ended, firstByte } = await line();
    assert.deepEqual([status, ended, firstByte >= SHORT * MS], [504, 'timeout', true]);
  }
  assert.equal(late, true);
  assert.equal(board.contents().readUInt32LE(240), 3);
});

test('a response that stands still is broken', { timeout: LONG }, async (t) => {
  const { line, raw } = await start(t, { timeout: LONG, stream: SHORT }, async (request, response) => {
    if (request.url === '/old') response.useChunkedEncodingByDefault = false;
    response.write('first');
    for (let i = 0; i < 6; i++) {
      await pause(SHORT / 2);
      response.write('more');
    }
  });
  const socket = raw(GET);
  assert.equal(await socket.closed_, '');
  assert.equal(socket.got.match(/more/g).length, 6);
  assert.doesNotMatch(socket.got, /\r\n0\r\n/);
  const { status, ended, duration, bytes } = await line();
  assert.deepEqual([status, ended, bytes], [200, 'timeout', 29]);
  assert.ok(duration >= 4 * SHORT * MS);
  assert.equal(await raw('GET /old HTTP/1.0\r\n\r\n').closed_, 'ECONNRESET');
});

test('what the client takes is progress, and what waits for it is not', { timeout: LONG }, async (t) => {
  const stream = 4 * SHORT; // eight times what the client lets pass
  const { line, raw } = await start(t, { stream }, (request, response) => {
    response.write('x'.repeat(64 << 20));
    if (request.url === '/writes') {
      const writing = setInterval(() => response.write('y'), SHORT / 5);
      response.once('close', () => clearInterval(writing));
    }
  });
  for (const path of ['/', '/writes']) {
    const socket = raw(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    socket.pause();
    assert.equal((await line()).ended, 'timeout');
  }
  const reader = raw(GET);
  const begin = performance.now();
  let got = 0;
  let left = 14; // times that some megabytes are read
  reader.removeAllListeners('data').on('data', (piece) => {
    got += piece.length;
    if (got < 4 << 20) return;
    got = 0;
    reader.pause();
    if (--left > 0) setTimeout(() => reader.resume(), SHORT / 2);
  });
  assert.equal((await line()).ended, 'timeout');
  assert.ok(performance.now() - begin >= 6 * SHORT + stream);
});

test('a body that arrives is progress', { timeout: LONG }, async (t) => {
  const { line, raw } = await start(t, { timeout: 4 * SHORT }, (request, response) => {
    request.resume().on('end', () => response.end('all'));
  });
  const socket = raw('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n');
  for (let i = 0; i < 12; i++) {
    await pause(SHORT / 2);
    socket.write('x');
  }
  const { status, ended } = await line();
  assert.deepEqual([status, ended], [200, 'ok']);
});

test('who has sent a body that nobody reads sees the answer', { timeout: LONG }, async (t) => {
  // However long it takes to send it: the worker does not wait for ever, but that is not what is asked here.
  const { setTimeout: real } = globalThis;
  const timers = t.mock.method(globalThis, 'setTimeout', (call, delay, ...args) => real(call, delay === LINGER ? LONG : delay, ...args));
  const { raw, leave } = await start(t, { timeout: SHORT }, (request, response) => {
    if (request.url === '/early') response.writeHead(413).end();
  });
  const post = async (path) => {
    const socket = raw(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${16 << 20}\r\n\r\n${'x'.repeat(15 << 20)}`);
    socket.on('end', () => socket.end());
    assert.equal(await socket.closed_, '');
    return socket.got.slice(0, 12);
  };
  assert.equal(await post('/hang'), 'HTTP/1.1 504');
  leave.abort();
  assert.equal(await post('/early'), 'HTTP/1.1 413');
  assert.equal(timers.mock.calls.filter(({ arguments: [, delay] }) => delay === LINGER).length, 2);
});

test('request_timeout holds whatever the progress', { timeout: LONG }, async (t) => {
  const { line, raw } = await start(t, { timeout: LONG, stream: LONG, request: 2 * SHORT }, (request, response) => {
    const writing = setInterval(() => response.write('token'), 10);
    response.once('close', () => clearInterval(writing));
  });
  await raw(GET).closed_;
  const { ended, duration } = await line();
  assert.equal(ended, 'timeout');
  assert.ok(duration >= 2 * SHORT * MS && duration < LONG * MS);
});

test('upgrades', { timeout: LONG }, async (t) => {
  const { server, line, raw, board } = await start(t, { timeout: SHORT, upgrade: 2 * SHORT }, () => {});
  server.on('upgrade', (request, socket) => {
    if (request.url === '/hang') return;
    if (request.url === '/no') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.on('data', () => {});
  });
  const ask = (path) => raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`);
  const socket = ask('/');
  while (!socket.got) await pause(5);
  assert.equal(board.contents().readUInt32LE(4096 + 32), 5); // in use and upgraded
  for (let i = 0; i < 6; i++) {
    await pause(SHORT);
    socket.write('x');
  }
  await socket.closed_;
  const { status, ended, duration } = await line();
  assert.deepEqual([status, ended], [101, 'timeout']);
  assert.ok(duration >= 8 * SHORT * MS);

  const hung = ask('/hang');
  await hung.closed_;
  assert.match(hung.got, /^HTTP\/1.1 504 /);
  assert.equal((await line()).status, 504);
  await ask('/no').closed_;
  assert.equal((await line()).status, 403);
});

test('who asks before sending a body is accounted for once', { timeout: LONG }, async (t) => {
  const { server, line, lines, raw, ledger } = await start(t, {}, (request, response) => {
    request.resume().on('end', () => response.end('all'));
  });
  const ask = async () => {
    const socket = raw('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n');
    while (!socket.got.startsWith('HTTP/1.1 100')) await pause(5);
    assert.equal(ledger.deadlines.running.size, 1);
    socket.write('x');
    assert.equal((await line()).status, 200);
    assert.equal(lines.length, 0);
  };
  await ask();
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    server.emit('request', request, response);
  });
  await ask();
});

test('a client that hangs up is gone', { timeout: LONG }, async (t) => {
  const { line, raw } = await start(t, {}, (request, response) => {
    if (request.url === '/begun') response.write('first');
    else socket.destroy();
  });
  let socket = raw(GET);
  let { status, ended, firstByte } = await line();
  assert.deepEqual([status, ended, firstByte], [0, 'client_gone', -1]);
  socket = raw('GET /begun HTTP/1.1\r\nHost: x\r\n\r\n');
  while (!socket.got) await pause(5);
  socket.destroy();
  ({ status, ended } = await line());
  assert.deepEqual([status, ended], [200, 'client_gone']);
});

test('an event loop that was held is no fault of the requests', { timeout: LONG }, async (t) => {
  const hold = 4 * SHORT;
  const { line, raw } = await start(t, { timeout: 3 * SHORT }, async (request, response) => {
    await pause(SHORT / 2);
    const end = performance.now() + hold;
    while (performance.now() < end);
    await pause(SHORT);
    response.end('late');
  });
  raw(GET);
  const { status, duration } = await line();
  assert.equal(status, 200);
  assert.ok(duration > hold * MS);
});

test('a replacement is asked for after so many requests', { timeout: LONG }, async (t) => {
  const { line, raw, reasons } = await start(t, { requests: 2 }, (request, response) => response.end());
  for (const want of [[], ['max_requests'], ['max_requests']]) {
    raw(GET);
    await line();
    assert.deepEqual(reasons, want);
  }
});

test('the last answers of a worker end their connections', { timeout: LONG }, async (t) => {
  const { raw, leave } = await start(t, {}, (request, response) => response.end('all'));
  const socket = raw(GET);
  while (!socket.got.includes('all')) await pause(5);
  assert.match(socket.got, /Connection: keep-alive/);
  leave.abort();
  socket.write(GET);
  await socket.closed_;
  assert.match(socket.got, /Connection: close/);
});

test('an idle connection on which a request has arrived is not closed', { timeout: LONG }, async (t) => {
  const { line, raw } = await start(t, { keepalive: SHORT }, (request, response) => response.end('all'));
  const socket = raw(GET);
  await line();
  await pause(SHORT / 2);
  await new Promise((resolve) => socket.write(GET, resolve));
  const end = performance.now() + 2 * SHORT; // the event loop finds the timer first
  while (performance.now() < end);
  assert.equal((await line()).status, 200);
});

test('failures in a row are told, but not those of probes', { timeout: LONG }, async (t) => {
  const { line, raw, reasons, board } = await start(t, { failures: 2, timeout: SHORT }, (request, response) => {
    if (request.url === '/hang') return;
    response.writeHead(Number(request.url.match(/\d+/)[0]));
    if (request.url.startsWith('/gone')) response.write('first');
    else response.end();
  });
  const row = async (...paths) => {
    for (const path of paths) {
      const socket = raw(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      if (path.startsWith('/gone')) socket.once('data', () => socket.destroy());
      await line();
    }
    return board.contents().readUInt32LE(300);
  };
  assert.equal(await row('/gone/500', '/500', '/gone/200', '/gone/500'), 1);
  assert.equal(await row('/200'), 0);
  assert.equal(await row('/500', '/200', '/500', '/health/200', '/ready?503', '/hang'), 1);
  assert.deepEqual(reasons, []);
  assert.ok(board.contents().readBigUInt64LE(312) < board.contents().readBigUInt64LE(304));
  assert.equal(await row('/503', '/500', '/500'), 4);
  assert.deepEqual(reasons, ['failing', 'failing']);
  assert.equal(await row('/404'), 0);
});

test('where Node does not say what was taken a stream stands still', { timeout: LONG }, async (t) => {
  const { server, line, raw } = await start(t, { stream: SHORT }, (request, response) => response.write('x'.repeat(64 << 20)));
  server.prependListener('connection', ({ _handle }) => Object.defineProperty(_handle, 'writeQueueSize', { value: undefined }));
  raw(GET).pause();
  assert.equal((await line()).ended, 'timeout');
});

test('a head that Node does not take back is cut', { timeout: LONG }, async (t) => {
  const { line, raw } = await start(t, { timeout: SHORT }, (request, response) => {
    response.writeHead(200);
    const head = response._header;
    Object.defineProperty(response, '_header', { get: () => head, set() {} });
  });
  await raw(GET).closed_;
  assert.equal((await line()).ended, 'timeout');
});
