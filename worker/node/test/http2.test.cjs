'use strict';
const assert = require('node:assert');
const http2 = require('node:http2');
const { once } = require('node:events');
const { test } = require('node:test');
const { serve, SHORT, LONG, pause } = require('../testing/serve.cjs');

// start serves h2c; ask makes a request of one client.
async function start(t, limits, handler) {
  const server = http2.createServer();
  server.on(limits.streams ? 'stream' : 'request', handler);
  const served = await serve(t, limits, server);
  const client = http2.connect(`http://127.0.0.1:${served.port}`);
  t.after(() => client.destroy());
  const ask = async (path, headers = {}) => {
    const stream = client.request({ ':path': path, ...headers });
    const answer = { body: '', code: 0 };
    stream.setEncoding('latin1').on('data', (piece) => (answer.body += piece));
    stream.on('response', (fields) => (answer.headers = fields));
    stream.on('error', () => {});
    stream.end();
    await once(stream, 'close');
    answer.code = stream.rstCode;
    return answer;
  };
  return { ...served, client, ask };
}

test('streams are accounted for', { timeout: LONG }, async (t) => {
  for (const streams of [false, true]) {
    const { ask, line } = await start(t, { streams }, (...args) => {
      if (streams) {
        args[0].respond({ ':status': 203 });
        args[0].end('abc');
      } else {
        args[1].writeHead(203);
        args[1].end('abc');
      }
    });
    assert.equal((await ask('/a?b', { 'x-request-id': '7', 'user-agent': 'u', referer: 'r' })).body, 'abc');
    const { duration, firstByte, ...rest } = await line();
    assert.deepEqual(rest, {
      remote: '127.0.0.1',
      method: 'GET',
      target: '/a?b',
      proto: 'HTTP/2.0',
      status: 203,
      bytes: 3,
      referer: 'r',
      agent: 'u',
      id: '7',
      ended: 'ok',
    });
    assert.ok(firstByte > 0 && firstByte <= duration);
  }
});

test('a stream is answered at its limit, or reset, and its neighbours go on', { timeout: LONG }, async (t) => {
  let late = 0;
  const { ask, line } = await start(t, { timeout: SHORT, stream: 2 * SHORT }, async (request, response) => {
    if (request.url === '/begun') response.write('first');
    if (request.url === '/neighbour') {
      for (let i = 0; i < 8; i++) {
        response.write('x');
        await pause(SHORT / 2);
      }
      response.end();
      return;
    }
    await once(response, 'close');
    response.setHeader('x-late', 'yes');
    response.writeHead(200);
    response.end('late');
    late++;
  });
  const neighbour = ask('/neighbour');
  const { headers, body } = await ask('/hang');
  assert.deepEqual([headers[':status'], headers['retry-after'], body], [504, '5', 'Gateway Timeout\n']);
  assert.equal((await line()).ended, 'timeout');
  const begun = await ask('/begun');
  assert.deepEqual([begun.body, begun.code], ['first', http2.constants.NGHTTP2_CANCEL]);
  assert.equal((await neighbour).body, 'xxxxxxxx');
  while (late < 2) await pause(5);
});

test('a session ends when its streams have', { timeout: LONG }, async (t) => {
  const { ask, client, leave } = await start(t, {}, async (request, response) => {
    response.write('first');
    await once(leave.signal, 'abort');
    response.end('last');
  });
  const asked = ask('/');
  await pause(SHORT);
  leave.abort();
  await once(client, 'goaway');
  assert.equal((await asked).body, 'firstlast');
  await once(client, 'close');
});
