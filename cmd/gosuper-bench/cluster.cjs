'use strict';
// cluster.cjs WORKERS --fd 3 | --port PORT: agents in node:cluster, as a careful program has them: SIGHUP replaces them
// one by one, each when its successor listens, and SIGTERM lets all finish.

const cluster = require('node:cluster');
const path = require('node:path');

const [workers, kind, where] = process.argv.slice(2);
cluster.setupPrimary({ exec: path.join(__dirname, 'agent.cjs') });

async function fork() {
  const worker = cluster.fork(kind === '--port' ? { PORT: where } : {});
  await new Promise((resolve) => worker.once('listening', resolve));
  return worker;
}

let current = Promise.all(Array.from({ length: Number(workers) }, fork));

async function replace(all) {
  const fresh = [];
  for (const old of all) {
    fresh.push(await fork());
    old.disconnect();
    await new Promise((resolve) => old.once('exit', resolve));
  }
  return fresh;
}

process.on('SIGHUP', () => {
  current = current.then(replace);
});
process.on('SIGTERM', async () => {
  for (const worker of await current) worker.disconnect();
  cluster.disconnect(() => process.exit(0));
});
