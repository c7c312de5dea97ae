'use strict';
// Spares, and what else a worker is told, with this process as the master. The socket for reports is a stream here, as Node makes them.

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { test } = require('node:test');

const HOLD_MARGIN = 5; // milliseconds
const BOARD = { SIZE: 65536, CAN: 40, LEAVING: 72, HOLD: 88, SLOT: 96, BUSY_AT: 104, ACCEPTED: 256 };
const APPLICATION = `const gosuper = require(${JSON.stringify(path.join(__dirname, '..'))});
gosuper.listen(require('node:http').createServer((request, response) => {
  response.end(JSON.stringify([process.pid, gosuper.worker.slot, process.env.GOSUPER_SLOT]));
}));`;

class Worker {
  // start resolves when the worker on a socket is ready.
  static async start(t, fd, spare, env = {}) {
    const worker = new Worker();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gosuper-node-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    fs.writeFileSync(path.join(folder, 'board'), Buffer.alloc(BOARD.SIZE));
    worker.board = fs.openSync(path.join(folder, 'board'), 'r+');
    if (spare) worker.write(BOARD.HOLD, 1n);
    const variables = { LISTEN_FDS: 1, GOSUPER_WORKER_ID: 7, GOSUPER_PLACE: 0, GOSUPER_NOTIFY_FD: 4, GOSUPER_SCOREBOARD_FD: 5 };
    if (!spare) variables.GOSUPER_SLOT = 0;
    worker.process = spawn('sh', ['-c', 'LISTEN_PID=$$ exec "$0" -e "$1"', process.execPath, APPLICATION], {
      env: { ...process.env, ...variables, ...env },
      stdio: ['ignore', 'inherit', 'inherit', fd, 'pipe', worker.board],
    });
    t.after(() => worker.process.kill('SIGKILL'));
    worker.notify = worker.process.stdio[4].setEncoding('latin1');
    worker.notify.on('error', () => {}); // once it is killed
    await worker.hear('READY=1');
    return worker;
  }

  // hear resolves when the worker has said something.
  async hear(text) {
    let said = '';
    while (!said.includes(text)) said += (await once(this.notify, 'data'))[0];
  }

  word(at) {
    const bytes = Buffer.alloc(8);
    fs.readSync(this.board, bytes, 0, 8, at);
    return Number(bytes.readBigUInt64LE());
  }

  write(at, value) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    fs.writeSync(this.board, bytes, 0, 8, at);
  }

  release(slot) {
    this.write(BOARD.SLOT, BigInt(slot + 1));
    this.write(BOARD.HOLD, 0n);
    this.notify.write('LOOK=1');
  }

  // switches is how often the threads of the worker had nothing left to do.
  switches() {
    const { pid } = this.process;
    const tasks = fs.readdirSync(`/proc/${pid}/task`).map((task) => fs.readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'));
    return tasks.reduce((sum, status) => sum + Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1]), 0);
  }
}

// listener is a socket that this process does not accept from.
async function listener(t) {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  t.after(() => server.close());
  return { fd: server._handle.fd, port, leave: () => server.close() };
}

async function ask(port) {
  const [response] = await once(http.get({ port, host: '127.0.0.1', agent: false }), 'response');
  let body = '';
  for await (const piece of response) body += piece;
  return JSON.parse(body);
}

for (const [name, env] of [
  ['a spare is nobody, and takes its slot at once', {}],
  ['so is one with a limit', { GOSUPER_LIMIT_CONNECTIONS: 100 }],
]) {
  test(name, { timeout: 60_000 }, async (t) => {
    const { fd, port, leave } = await listener(t);
    const spare = await Worker.start(t, fd, true, env);
    const other = await Worker.start(t, fd, false, env);
    leave();
    assert.deepEqual([spare.word(BOARD.CAN), other.word(BOARD.CAN)], [3, 3]);
    const before = spare.switches();
    for (let i = 0; i < 200; i++) assert.deepEqual(await ask(port), [other.process.pid, 0, '0']);
    assert.ok(spare.switches() - before < 100, `${spare.switches() - before} times woken`);
    assert.equal(spare.word(BOARD.ACCEPTED), 0);

    other.process.kill('SIGKILL');
    await once(other.process, 'exit');
    const asked = ask(port);
    await new Promise((resolve) => setTimeout(resolve, 20)); // it waits by then, for which nothing depends on
    const begin = performance.now();
    spare.release(3);
    assert.deepEqual(await asked, [spare.process.pid, 3, '3']);
    const took = performance.now() - begin;
    t.diagnostic(`answered after ${took} ms`);
    assert.ok(took < 100 * HOLD_MARGIN);
    for (let i = 0; i < 10; i++) assert.equal((await ask(port))[0], spare.process.pid);
  });
}

test('a spare that is told to finish leaves what waits', { timeout: 60_000 }, async (t) => {
  const { fd, port, leave } = await listener(t);
  const spare = await Worker.start(t, fd, true);
  leave();
  const client = net.connect(port, '127.0.0.1');
  t.after(() => client.destroy());
  client.on('error', () => {}); // once nobody is left
  await once(client, 'connect');
  spare.write(BOARD.LEAVING, 1n);
  const exit = once(spare.process, 'exit');
  spare.process.kill('SIGTERM');
  assert.deepEqual(await exit, [0, null]);
  assert.equal(spare.word(BOARD.ACCEPTED), 0);
});

test('a worker says once that it is busy', { timeout: 60_000 }, async (t) => {
  const { fd, port, leave } = await listener(t);
  const worker = await Worker.start(t, fd, false);
  leave();
  let said = '';
  worker.notify.on('data', (text) => (said += text));
  for (const times of [1, 2]) {
    worker.write(BOARD.BUSY_AT, 1n);
    worker.notify.write('LOOK=1');
    while (said === 'X_GOSUPER_BUSY=1'.repeat(times - 1)) await ask(port);
    for (let i = 0; i < 20; i++) await ask(port);
    assert.equal(said, 'X_GOSUPER_BUSY=1'.repeat(times));
  }
});
