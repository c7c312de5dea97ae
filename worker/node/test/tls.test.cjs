'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { test } = require('node:test');
const { serve, LONG, SHORT } = require('../testing/serve.cjs');

const OPENSSL = spawnSync('openssl', ['version']).status === 0;
const OPTIONS = { skip: !OPENSSL && 'no openssl', timeout: LONG };
const { ca, pair } = OPENSSL ? certificate() : {};

// certificate makes one for localhost, which is its own authority, and a text of it with its key.
function certificate() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gosuper-node-'));
  const file = (name) => path.join(folder, name);
  const how = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost';
  execFileSync('openssl', [...how.split(' '), '-keyout', file('key'), '-out', file('cert')], { stdio: 'ignore' });
  const text = fs.readFileSync(file('cert'), 'utf8');
  const both = text + fs.readFileSync(file('key'), 'utf8');
  fs.rmSync(folder, { recursive: true });
  return { ca: text, pair: both };
}

test('a certificate of the master is served with', OPTIONS, async (t) => {
  const { port, line, gate } = await serve(t, { timeout: SHORT, pair }, http.createServer((request, response) => {
    if (request.url === '/') response.end(String(request.socket.encrypted));
  }));
  const get = (url) =>
    new Promise((resolve, reject) => {
      const ask = { host: '127.0.0.1', servername: 'localhost', port, ca, path: url, agent: false };
      https.get(ask, async (response) => {
        let body = '';
        for await (const piece of response) body += piece;
        resolve([response.statusCode, body]);
      }).on('error', reject);
    });
  assert.deepEqual(await get('/'), [200, 'true']);
  assert.equal((await line()).ended, 'ok');
  assert.deepEqual(await get('/hang'), [504, 'Gateway Timeout\n']);
  assert.equal((await line()).remote, '127.0.0.1');
  assert.equal(gate.standing().busy, 0, 'a connection counts once, with its request');
  const plain = net.connect(port, '127.0.0.1', () => plain.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
  plain.on('error', () => {});
  await once(plain, 'close');
});

test('so are HTTP/2, and servers with a certificate of their own', OPTIONS, async (t) => {
  const handler = (request, response) => response.end(request.httpVersion);
  const own = http2.createSecureServer({ cert: pair, key: pair }, handler);
  for (const [server, given] of [[http2.createServer(handler), pair], [own, undefined]]) {
    const { port, line } = await serve(t, { pair: given }, server);
    const client = http2.connect(`https://localhost:${port}`, { ca, lookup: (_, o, done) => done(null, o.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4) });
    const stream = client.request({ ':path': '/' });
    let body = '';
    for await (const piece of stream) body += piece;
    assert.equal(body, '2.0');
    assert.equal((await line()).ended, 'ok');
    client.close();
    await once(client, 'close');
  }
});
