'use strict';
// A real master with workers of this package, where a gosuper binary is at hand.
const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const { test } = require('node:test');

const BINARY = process.env.TEST_GOSUPER;
const FOREVER = 60_000;
const APP = `
const http = require('node:http');
const gosuper = require(${JSON.stringify(path.join(__dirname, '..'))});
gosuper.listen(http.createServer((request, response) => {
  if (request.url.startsWith('/hang')) {
    setTimeout(() => response.writeHead(200, { late: 'yes' }).end('late'), 1500);
    return;
  }
  response.end(String(gosuper.worker.id));
}));
`;

test('a fleet of servers', { skip: !BINARY && 'no TEST_GOSUPER', timeout: 2 * FOREVER }, async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gosuper-node-'));
  fs.writeFileSync(path.join(folder, 'app.cjs'), APP);
  fs.writeFileSync(
    path.join(folder, 'supervisor.toml'),
    `command = ${JSON.stringify([process.execPath, 'app.cjs'])}
bind = ["unix:${folder}/http.sock"]
workers = 2
timeout = "1s"
control.socket = "${folder}/control.sock"
`,
  );
  const log = fs.openSync(path.join(folder, 'log'), 'w');
  const master = spawn(BINARY, ['-c', 'supervisor.toml'], { cwd: folder, stdio: ['ignore', log, log] });
  const ended = once(master, 'exit');
  const text = () => fs.readFileSync(path.join(folder, 'log'), 'utf8');
  t.after(async () => {
    master.kill('SIGTERM');
    await ended;
    fs.rmSync(folder, { recursive: true });
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  t.after(() => agent.destroy());
  const get = (url) =>
    new Promise((resolve, reject) => {
      const sent = http.get({ socketPath: `${folder}/http.sock`, path: url, agent }, (response) => {
        let body = '';
        response.on('data', (piece) => (body += piece)).on('end', () => resolve({ response, body }));
      });
      sent.on('error', reject);
    });

  await until(() => text().includes('"msg":"ready"'), text);
  assert.match(text(), /cooperating/);
  assert.equal((await get('/')).response.statusCode, 200);

  const late = (await get('/hang?secret')).response;
  assert.equal(late.statusCode, 504);
  assert.ok(late.headers['retry-after']);

  const seen = new Set();
  let done = false;
  const clients = Array.from({ length: 4 }, async () => {
    while (!done) {
      const { response, body } = await get('/');
      assert.equal(response.statusCode, 200);
      seen.add(Number(body));
    }
  });
  master.kill('SIGHUP');
  const replaced = () => text().includes('"msg":"reload done"') && [...seen].some((id) => id > 2);
  await Promise.race([Promise.all(clients), until(replaced, () => [...seen] + text())]);
  done = true;
  await Promise.all(clients);

  const hanging = get('/hang');
  await until(() => execFileSync(BINARY, ['status', '--requests', '-c', 'supervisor.toml'], { cwd: folder }).includes('/hang'), text);
  assert.equal((await hanging).response.statusCode, 504);
  assert.doesNotMatch(text(), /ERR_HTTP_HEADERS_SENT/);
});

async function until(condition, text) {
  const end = Date.now() + FOREVER;
  while (!condition()) {
    assert.ok(Date.now() < end, text());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
