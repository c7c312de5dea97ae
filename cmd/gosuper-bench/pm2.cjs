'use strict';
// pm2.cjs WORKERS --port PORT: agents under pm2, without its daemon, reloaded on SIGHUP.

const fs = require('node:fs');
const path = require('node:path');

process.env.PM2_HOME = fs.mkdtempSync(path.join(__dirname, 'pm2-'));
process.env.PM2_SILENT = 'true';
const pm2 = require('pm2');

const [workers, , port] = process.argv.slice(2);
const agents = {
  name: 'agent',
  script: path.join(__dirname, 'agent.cjs'),
  instances: Number(workers),
  exec_mode: 'cluster',
  wait_ready: true,
  kill_timeout: 10_000, // milliseconds
  env: { PORT: port },
};

function expect(error) {
  if (!error) return;
  console.error(error);
  process.exit(1);
}

pm2.connect(true, (error) => {
  expect(error);
  pm2.start(agents, (failed) => {
    expect(failed);
    process.stderr.write('agent ready\n'.repeat(Number(workers)));
  });
});
let reloaded = Promise.resolve(); // pm2 refuses to reload while it does
process.on('SIGHUP', () => {
  reloaded = reloaded.then(() => new Promise((resolve) => pm2.reload('agent', (error) => resolve(expect(error)))));
});
process.on('SIGTERM', () => pm2.delete('agent', () => process.exit(0)));
