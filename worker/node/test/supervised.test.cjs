'use strict';
const assert = require('node:assert');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { Fleet, WITH_MASTER } = require('../testing/fleet.cjs');

test('a fleet of servers', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `gosuper.listen(http.createServer((request, response) => {
  if (request.url.startsWith('/hang')) {
    setTimeout(() => response.writeHead(200, { late: 'yes' }).end('late'), 1500);
    return;
  }
  response.end(String(gosuper.worker.id));
}));`,
    'workers = 2\ntimeout = "1s"',
  );
  assert.match(fleet.log(), /cooperating/);
  assert.equal((await fleet.get('/')).status, 200);

  const late = await fleet.get('/hang?secret');
  assert.equal(late.status, 504);
  assert.ok(late.headers['retry-after']);

  const seen = new Set();
  let done = false;
  const clients = Array.from({ length: 4 }, async () => {
    while (!done) {
      const { status, body } = await fleet.get('/');
      assert.equal(status, 200);
      seen.add(Number(body));
    }
  });
  fleet.master.kill('SIGHUP');
  const replaced = () => fleet.log().includes('"msg":"reload done"') && [...seen].some((id) => id > 2);
  await Promise.race([Promise.all(clients), fleet.until(replaced)]);
  done = true;
  await Promise.all(clients);

  const hanging = fleet.get('/hang');
  await fleet.until(() => fleet.gosuper('status', '--requests').includes('/hang'));
  assert.equal((await hanging).status, 504);
  assert.doesNotMatch(fleet.log(), /ERR_HTTP_HEADERS_SENT/);
});

test('the sockets have one server', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `const serve = (text) => gosuper.listen(http.createServer((request, response) => response.end(text)));
serve('first');
serve('second').catch((error) => process.stderr.write(error.message + '\\n'));`,
    'workers = 1',
  );
  assert.match(fleet.log(), /have a server/);
  assert.equal((await fleet.get('/')).body, 'first');
});

test('who is forked by node:cluster is told that it is no worker', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `const cluster = require('node:cluster');
if (cluster.isPrimary) {
  gosuper.listen(http.createServer((request, response) => response.end('worker')));
  cluster.fork();
} else {
  gosuper.listen(http.createServer()).catch((error) => {
    process.stderr.write('refused: ' + error.message + '\\n');
    require(${JSON.stringify(path.join(__dirname, '../lib/register.cjs'))});
    process.exit();
  });
}`,
    'workers = 1',
  );
  await fleet.until(() => /refused: node:cluster has forked[^]*gosuper: node:cluster has forked/.test(fleet.log()));
  assert.equal((await fleet.get('/')).body, 'worker');
});

test('workers that ask to be replaced are', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `gosuper.listen(http.createServer((request, response) => {
  if (request.url === '/recycle') gosuper.recycle('cache_full');
  response.end(String(gosuper.worker.id));
}));`,
    'workers = 1\nmax_requests = 20\nmax_requests_jitter = 5',
  );
  const restarts = () => fleet.status().counters.restarts;
  const id = async () => Number((await fleet.get('/')).body);
  assert.equal(await id(), 1);
  await fleet.until(async () => (await id()) > 1);
  assert.equal(restarts().max_requests, 1);
  assert.equal(restarts().recycle, 0);
  const second = Number((await fleet.get('/recycle')).body);
  await fleet.until(async () => (await id()) > second);
  await fleet.until(() => restarts().recycle + restarts().max_requests >= 2);
  assert.equal(restarts().crash, 0);
});

test('limits and the access log', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `gosuper.listen(http.createServer((request, response) => {
  response.write('first');
  if (request.url === '/drip') setInterval(() => response.write('token'), 100).unref();
}));`,
    'workers = 1\nstream_timeout = "300ms"\nrequest_timeout = "1s"\nlog.access_format = "json"',
  );
  const still = await fleet.get('/still?secret');
  assert.deepEqual([still.body, still.whole], ['first', false]);
  const drip = await fleet.get('/drip');
  assert.equal(drip.whole, false);
  assert.match(drip.body, /^first(token){5,}$/);
  await fleet.until(() => fleet.access().split('\n').length > 2);
  const lines = fleet.access().trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ target, status, ended, worker, bytes }) => [target, status, ended, worker, bytes > 4]),
    [
      ['/still?secret', 200, 'timeout', 1, true],
      ['/drip', 200, 'timeout', 1, true],
    ],
  );
  assert.ok(lines[0].duration < 1 && lines[1].duration >= 1);
  await fleet.until(() => fleet.status().counters.timeouts === 2);
});

const SLOW = `gosuper.listen(http.createServer((request, response) => {
  response.writeHead(200, { worker: gosuper.worker.id }).write('first');
  setTimeout(() => response.end(), 1500);
}));`;

test('slow requests are spread evenly', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(t, SLOW, 'workers = 4');
  const counted = async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => fleet.get('/', { agent: false })));
    const counts = [0, 0, 0, 0];
    for (const { headers } of answers) counts[headers.worker - 1]++;
    t.diagnostic(`40 slow requests over 4 workers: ${counts}`);
    return counts;
  };
  // On a machine that is busy with other things workers do not come when it is their turn.
  await fleet.until(async () => Math.max(...(await counted())) <= 12);
});

test('a worker that is as busy as it may be leaves connections to others', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(t, SLOW, 'workers = 2\nworker_connections = 3');
  const begin = performance.now();
  const took = async () => {
    const { headers } = await fleet.get('/', { agent: false });
    return [Number(headers.worker), performance.now() - begin];
  };
  const answers = await Promise.all(Array.from({ length: 9 }, took));
  const prompt = answers.filter(([, time]) => time < 3000).map(([worker]) => worker);
  assert.deepEqual(prompt.sort(), [1, 1, 1, 2, 2, 2]);
});

test('the log says where a blocked event loop is', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `function calculate() {
  for (;;) Math.sqrt(Math.random());
}
gosuper.listen(http.createServer((request, response) => {
  if (request.url === '/spin') calculate();
  if (request.url === '/wait') require('node:child_process').execFileSync('sleep', ['60']);
  response.end(String(gosuper.worker.id));
}));`,
    'workers = 2\ntimeout = "500ms"\ngraceful_timeout = "1s"',
  );
  const stacks = async (url) => {
    const incidents = () => JSON.parse(fleet.gosuper('incidents', '--json')).incidents;
    const before = incidents().length;
    assert.equal((await fleet.get(url, { agent: false })).status, 504);
    await fleet.until(() => incidents().length > before);
    const [incident] = incidents();
    assert.deepEqual(
      incident.requests.map(({ path }) => path),
      [url],
    );
    return incident.stacks.join('\n');
  };
  assert.match(await stacks('/spin'), /blocked, most recent[^]*at calculate \(file:.*app.cjs:4:\d+\)[^]*at emit \(node:events/);
  assert.match(await stacks('/wait'), /not by JavaScript: it waits in /);
  assert.equal((await fleet.get('/')).status, 200);
});

test('a drain drops nothing', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `gosuper.listen(http.createServer(async (request, response) => {
  if (request.url !== '/stream') {
    response.end(String(gosuper.worker.id));
    return;
  }
  response.write('first');
  // The connection gets the descriptor that the listening socket had.
  gosuper.draining.addEventListener('abort', () => {
    http.get({ socketPath: 'http.sock', agent: false }, (asked) => asked.resume().on('end', () => response.end('last')));
  });
}));`,
    'workers = 1\nkeepalive = "1s"',
  );
  assert.equal((await fleet.get('/')).body, '1'); // on a connection that is idle then
  const stream = fleet.get('/stream', { agent: false });
  await fleet.until(() => fleet.gosuper('status', '--requests').includes('/stream'));
  fleet.gosuper('reload', '--wait');
  const { body, whole } = await stream;
  assert.deepEqual([body, whole], ['firstlast', true]);
  // Within its keepalive the old worker answers on that connection, and says that it is the last time.
  const { status } = await fleet.get('/');
  assert.equal(status, 200);
  await fleet.until(() => fleet.status().workers.length === 1);
  assert.equal(fleet.status().counters.innocents_lost, 0);
  assert.doesNotMatch(fleet.log(), /were cut/);
});

test('connections end one after the other', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(t, `gosuper.listen(http.createServer((request, response) => response.end('ok')));`, 'workers = 1');
  const agents = Array.from({ length: 100 }, () => new http.Agent({ keepAlive: true }));
  for (const agent of agents) assert.equal((await fleet.get('/', { agent })).status, 200);
  const begun = performance.now();
  const ended = agents.map(async (agent) => {
    for (;;) {
      const { status, headers } = await fleet.get('/', { agent });
      assert.equal(status, 200);
      if (headers.connection === 'close') return performance.now() - begun;
    }
  });
  fleet.master.kill('SIGTERM');
  const moments = (await Promise.all(ended)).sort((a, b) => a - b);
  t.diagnostic(`the last of ${moments.length} after ${moments.at(-1).toFixed(0)} ms`);
  assert.ok(moments.every((moment, i) => moment >= i - 5), String(moments)); // a timer of Node may come that early
  await fleet.until(() => /"msg":"stopped"/.test(fleet.log()));
  assert.doesNotMatch(fleet.log(), /were cut/);
});

test('a protocol of its own', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `gosuper.listen(http.createServer(async (request, response) => {
  response.end();
  const one = gosuper.request('JOB', '/jobs/' + request.url.slice(1));
  if (request.url === '/ends') one.end(201);
  else one.signal.addEventListener('abort', () => process.stderr.write('job stopped\\n'));
}));`,
    'workers = 1\ntimeout = "300ms"\nlog.access_format = "json"',
  );
  await fleet.get('/ends');
  await fleet.get('/hangs');
  await fleet.until(() => fleet.log().includes('job stopped'));
  await fleet.until(() => fleet.access().split('\n').length > 4);
  const lines = fleet.access().trim().split('\n').map((line) => JSON.parse(line));
  const jobs = lines.filter(({ method }) => method === 'JOB').map(({ target, status, ended }) => [target, status, ended]);
  assert.deepEqual(jobs, [
    ['/jobs/ends', 201, 'ok'],
    ['/jobs/hangs', 504, 'timeout'],
  ]);
});

test('a worker that fails while others do not is replaced', WITH_MASTER, async (t) => {
  const fleet = await Fleet.start(
    t,
    `gosuper.listen(http.createServer((request, response) => {
  response.writeHead(gosuper.worker.id === 1 ? 500 : 200, { worker: gosuper.worker.id }).end();
}));`,
    'workers = 2\nmax_failures = 5',
  );
  await fleet.until(async () => {
    await fleet.get('/', { agent: false });
    return fleet.status().counters.restarts.max_failures > 0;
  });
  await fleet.until(() => fleet.status().workers.every(({ id, state }) => id !== 1 || state !== 'ready'));
});

// What a worker does without that this package knows of Node and Node promises to nobody.
const MISSING = {
  'listening sockets that stop': `handle.readStop = undefined;`,
  'listening sockets that start': `handle.readStart = undefined;`,
  'a second handle': `Object.defineProperty(handle, 'constructor', { value: class { open() { return -1; } } });`,
  'a second handle that reads': `Object.defineProperty(handle, 'constructor', { value: class { open() { return 0; } } });`,
};

for (const [what, lines] of Object.entries(MISSING)) {
  test(`a worker accepts what comes without ${what}`, WITH_MASTER, async (t) => {
    const fleet = await Fleet.start(
      t,
      `delete process.binding;
const server = http.createServer((request, response) => response.end(String(gosuper.worker.id)));
server.once('listening', () => {
  const handle = server._handle;
  ${lines}
});
gosuper.listen(server);`,
      'workers = 1\nworker_connections = 3',
    );
    for (let i = 0; i < 10; i++) assert.equal((await fleet.get('/', { agent: false })).body, '1');
    assert.equal(fleet.log().match(/cannot leave connections in the queue/g).length, 1);
    fleet.gosuper('reload', '--wait');
    await fleet.until(() => fleet.status().workers.length === 1);
    assert.equal((await fleet.get('/', { agent: false })).body, '2');
    assert.equal(fleet.status().counters.innocents_lost, 0);
  });
}
