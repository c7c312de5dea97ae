'use strict';
// Who answers while the event loop is blocked.

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const { once } = require('node:events');
const { test } = require('node:test');
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises');
const LAYOUT = require('../lib/layout.cjs');
const { NEVER, now } = require('../lib/clock.cjs');
const { Deputy } = require('../lib/deputy.cjs');
const { Lines, of } = require('../lib/lines.cjs');
const { Fleet, WITH_MASTER } = require('../testing/fleet.cjs');
const { serve, LONG } = require('../testing/serve.cjs');

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const REFUSED = /^HTTP\/1.1 503 Service Unavailable\r\n[^]*\r\nRetry-After: 5\r\nConnection: close\r\n\r\nService Unavailable\n$/;
const ENDED = /^HTTP\/1.1 504 Gateway Timeout\r\n[^]*\r\nConnection: close\r\n\r\nGateway Timeout\n$/;

// start serves with lines of which a deputy knows, that here is in the same thread. Who arrives is told one by one.
async function start(t, handler = () => {}) {
  const lines = new Lines();
  const server = http.createServer();
  const arrived = [];
  server.on('request', (request, response) => {
    handler(request, response);
    arrived.shift()?.(response);
  });
  const all = await serve(t, { lines }, server);
  const deputy = new Deputy({ lines: lines.shared(), memory: all.board.shared().memory, timeout: 1 });
  const next = () => new Promise((resolve) => arrived.push(resolve));
  return { ...all, deputy, next, lines };
}

test('what is due is answered, and the application says nothing more', { timeout: LONG }, async (t) => {
  for (const late of [
    (response) => response.end('late'),
    (response) => response.write('late') && response.end(),
    (response) => response.flushHeaders(),
    (response) => response.writeHead(200).end('late'),
  ]) {
    const { raw, next, deputy, line, board } = await start(t);
    const client = raw(GET);
    const response = await next();
    assert.equal(deputy.due(), board.contents().readUInt32LE(4096 + 20) * 2 ** 32 + board.contents().readUInt32LE(4096 + 16) + 1);
    assert.equal(deputy.oldest(), deputy.due() - 1);
    assert.equal(deputy.expire(0), 0);
    assert.equal(deputy.expire(now()), 1);
    assert.deepEqual([deputy.due(), deputy.oldest()], [NEVER, NEVER]);
    assert.equal(deputy.expire(now()) + deputy.refuse(), 0);
    const counters = Buffer.alloc(LAYOUT.COUNTERS_END);
    deputy.account(counters);
    assert.deepEqual([LAYOUT.FINISHED, LAYOUT.FINISHED + 40, LAYOUT.TIMEOUTS].map((at) => counters[at]), [1, 1, 1]);
    late(response);
    response.setHeader('X-Late', 'yes');
    assert.equal(await client.closed_, '');
    assert.match(client.got, ENDED);
    const { status, ended } = await line();
    assert.deepEqual([status, ended], [504, 'timeout']);
    deputy.account(counters.fill(0));
    assert.ok(counters.every((byte) => byte === 0)); // the loop has
    assert.equal(board.contents()[LAYOUT.TIMEOUTS], 1);
  }
});

test('what was answered past the response is not answered again', { timeout: LONG }, async (t) => {
  const { raw, deputy, line } = await start(t, (request, response) => http.ServerResponse.prototype.end.call(response, 'done'));
  const client = raw(GET);
  await line();
  assert.equal(deputy.due(), NEVER);
  assert.equal(deputy.expire(now()) + deputy.refuse(), 0);
  client.end();
  assert.equal(await client.closed_, '');
  assert.match(client.got, /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\ndone$/);
});

test('all that have nothing yet are refused', { timeout: LONG }, async (t) => {
  const { raw, next, deputy } = await start(t, (request, response) => request.url === '/done' && response.end());
  const done = raw('GET /done HTTP/1.1\r\nHost: x\r\n\r\n');
  await next();
  await once(done, 'data');
  const silent = raw('');
  const posts = raw('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbody');
  await next();
  await once(raw('GET /done HTTP/1.1\r\nHost: x\r\n\r\n'), 'data'); // who came before was accepted
  assert.equal(deputy.refuse(), 1);
  done.got = '';
  done.write(GET);
  assert.equal(deputy.refuse(), 1); // with what the loop has not read
  for (const client of [posts, done]) {
    while (!client.got) await once(client, 'data');
    assert.match(client.got, REFUSED);
  }
  assert.equal(silent.got, '');
});

test('what cannot be answered is the loop\'s as it was', { timeout: LONG }, async (t) => {
  let got = '';
  const { raw, next, deputy } = await start(t, (request, response) => {
    request.setEncoding('latin1').on('data', (piece) => (got += piece)).on('end', () => response.end(got));
  });
  const client = raw('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbody');
  await next();
  while (got !== 'body') await turn();
  client.write('-rest'); // which the kernel has, and the loop has not read
  const full = t.mock.method(fs, 'writeSync', () => {
    throw Object.assign(new Error('its socket takes nothing'), { code: 'EAGAIN' });
  });
  assert.equal(deputy.expire(now()), 0);
  assert.equal(full.mock.callCount(), 1);
  while (!client.got) await once(client, 'data');
  assert.match(client.got, /^HTTP\/1.1 200 OK\r\n[^]*body-rest/);

  // An answer that cannot be said leaves nothing of a request that was read.
  client.write(GET);
  assert.equal(deputy.refuse(), 0);
  client.write(GET);
  assert.equal(await client.closed_, '');
  assert.doesNotMatch(client.got, /body-rest[^]*HTTP/);
});

test('a client that sends and sends holds nobody up', { timeout: LONG }, async (t) => {
  const { raw, next, deputy } = await start(t);
  const client = raw(GET);
  await next();
  const endless = t.mock.method(fs, 'readSync', (fd, bytes) => {
    assert.ok(endless.mock.callCount() < 10_000);
    return bytes.length;
  });
  assert.equal(deputy.expire(now()), 1);
  assert.ok(endless.mock.callCount() < 10_000);
  while (!client.got) await once(client, 'data');
  assert.match(client.got, ENDED);
});

test('a request that came meanwhile is not answered for the one before', { timeout: LONG }, async (t) => {
  const { raw, next, deputy, board } = await start(t);
  const client = raw(GET);
  const line = of((await next()).socket);
  const { compareExchange } = Atomics;
  const meanwhile = t.mock.method(Atomics, 'compareExchange', (...args) => {
    meanwhile.mock.restore();
    line.take();
    line.idle();
    line.begin(board.take(now() + 3600 * 1e9, 0, 'GET', '/later', ''));
    return compareExchange(...args);
  });
  assert.equal(deputy.expire(now()), 0);
  assert.equal(client.got, '');
  assert.ok(deputy.due() > now() && deputy.due() < NEVER); // it has the later one, when that is due
});

test('nobody is answered twice', { timeout: LONG }, async (t) => {
  const { server, raw, next, deputy } = await start(t);
  const none = () => assert.equal(deputy.expire(now()) + deputy.refuse(), 0);
  raw(GET);
  const begun = await next();
  begun.write('x');
  none();
  begun.end();
  await once(begun, 'close');
  none();

  const both = [next(), next()];
  raw(GET + GET);
  const [first] = await Promise.all(both);
  none();
  first.end('first');
  await once(first, 'close');
  none();

  server.on('upgrade', (request, socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
  raw('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
  await once(server, 'upgrade');
  none();
});

test('no descriptor is written to that is closed', { timeout: LONG }, async (t) => {
  const { raw, next, deputy, lines } = await start(t);
  for (const name of ['destroy', 'resetAndDestroy', 'destroySoon']) {
    raw(GET);
    const { socket } = await next();
    const { fd } = socket._handle;
    const ended = once(socket, 'close');
    socket[name]();
    if (name === 'destroySoon') await ended;
    const files = [];
    while (!files.includes(fd)) files.push(fs.openSync('/dev/null', 'w+'));
    assert.equal(deputy.expire(now()) + deputy.refuse(), 0);
    for (const file of files) fs.closeSync(file);
    await ended;
    assert.equal(of(socket).status, 0);
  }
  raw(GET);
  await next();
  assert.equal(lines.shared()[0], 1); // each has the place of the one before
  assert.equal(deputy.expire(now()), 1);
});

test('connections that speak something else have no line', { timeout: LONG }, async (t) => {
  const lines = new Lines();
  const { port, server } = await serve(t, { lines }, http2.createServer());
  const client = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => client.destroy());
  await once(server, 'connection');
  assert.equal(lines.shared()[0], 0);
});

const APPLICATION = `gosuper.listen(http.createServer((request, response) => {
  const [path, time] = request.url.split('=');
  for (const end = Date.now() + Number(time); Date.now() < end; );
  if (path !== '/never') response.end('answered');
}));`;

test('a worker with a blocked event loop owes nobody an answer', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(t, APPLICATION, 'workers = 1\ntimeout = "1s"\ngraceful_timeout = "1s"');
  assert.equal((await fleet.get('/')).status, 200);
  const never = fleet.get('/never', { agent: false });
  await fleet.until(() => fleet.gosuper('status', '--requests').includes('/never'));
  const begun = performance.now();
  const blocks = fleet.get('/blocks=60000', { agent: false });
  await fleet.until(() => fleet.gosuper('status', '--requests').includes('/blocks'));
  const unread = fleet.get('/'); // on the connection that there is
  const { status, headers } = await blocks;
  assert.equal(status, 504);
  assert.ok(headers['retry-after']);
  t.diagnostic(`504 after ${(performance.now() - begun).toFixed(0)} ms`);
  assert.equal((await never).status, 504);
  assert.equal((await unread).status, 503);
  await fleet.until(() => fleet.status().counters.restarts.timeout === 1 && fleet.log().includes('"worker gone"'));
  const { timeouts, requests_lost, innocents_lost } = fleet.status().counters;
  assert.deepEqual([timeouts, requests_lost, innocents_lost], [2, 0, 0]);
});

test('an event loop that comes back has nobody answered twice', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(t, APPLICATION, 'workers = 1\ntimeout = "1s"\nlog.access_format = "json"');
  const { status, body } = await fleet.get('/blocks=1400');
  assert.deepEqual([status, body], [504, 'Gateway Timeout\n']);
  assert.equal((await fleet.get('/')).body, 'answered');
  await fleet.until(() => fleet.access().split('\n').length > 2);
  const lines = fleet.access().trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map((line) => [line.target, line.status, line.ended]),
    [
      ['/blocks=1400', 504, 'timeout'],
      ['/', 200, 'ok'],
    ],
  );
  await fleet.until(() => fleet.status().counters.requests === 2);
  const { timeouts, restarts } = fleet.status().counters;
  assert.deepEqual([timeouts, restarts.crash, restarts.timeout], [1, 0, 0]);
});

const SLOW_TO_COME_BACK = `let before = performance.now();
setInterval(() => {
  if (performance.now() - before > 500) while (performance.now() - before < 1400);
  before = performance.now();
}, 10);
gosuper.listen(http.createServer((request, response) => {
  process.stderr.write('asked\\n');
  setTimeout(() => response.end('answered'), 600);
}));`;

test('an event loop that has much to do after the process was stopped is not taken for a blocked one', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(t, SLOW_TO_COME_BACK, 'workers = 1\ntimeout = "1s"');
  const [{ pid }] = fleet.status().workers;
  const answer = fleet.get('/');
  await fleet.until(() => fleet.log().includes('asked'));
  process.kill(pid, 'SIGSTOP');
  await sleep(1050); // what is tested
  process.kill(pid, 'SIGCONT');
  const { status, body } = await answer;
  assert.deepEqual([status, body], [200, 'answered'], fleet.log());
  assert.equal(fleet.status().counters.timeouts, 0);
});
