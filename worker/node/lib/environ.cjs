'use strict';
// What a worker is told by its environment, and whether it is meant for this process.

const fs = require('node:fs');
const { MS } = require('./clock.cjs');

const FIRST_SOCKET = 3;

const READ_ONCE = `LISTEN_FDS LISTEN_PID LISTEN_FDNAMES NOTIFY_SOCKET GOSUPER_NOTIFY_FD GOSUPER_SCOREBOARD_FD
GOSUPER_FLEET_FD GOSUPER_ACCESS_FD GOSUPER_ACCESS_FORMAT GOSUPER_TLS_FD GOSUPER_STOP_SIGNAL GOSUPER_LIMIT_KEEPALIVE_MS
GOSUPER_LIMIT_REQUESTS GOSUPER_LIMIT_FAILURES GOSUPER_LIMIT_TIMEOUT_MS GOSUPER_LIMIT_STREAM_TIMEOUT_MS GOSUPER_LIMIT_UPGRADE_TIMEOUT_MS
GOSUPER_LIMIT_REQUEST_TIMEOUT_MS GOSUPER_LIMIT_CONNECTIONS GOSUPER_LIMIT_BACKLOG_TIMEOUT_MS WATCHDOG_USEC WATCHDOG_PID`.split(
  /\s+/,
);

// What a process is told that node:cluster has forked from a worker.
const FORKED =
  'node:cluster has forked this process from a worker, and no connection to gosuper comes to it: ' +
  'gosuper starts the workers, so serve without cluster where GOSUPER_WORKER_ID is set';

// take reads the environment, and unsets what only the worker itself may read. That the descriptors are close-on-exec
// Node has seen to when it started.
function take(env, pid) {
  const number = (name, otherwise = 0) => (/^\d+$/.test(env[name] ?? '') ? Number(env[name]) : otherwise);
  const worker = {
    id: number('GOSUPER_WORKER_ID'),
    slot: number('GOSUPER_SLOT', env.GOSUPER_WORKER_ID === undefined ? 0 : -1), // a spare has none yet
    place: number('GOSUPER_PLACE'),
    generation: number('GOSUPER_GENERATION'),
  };
  const owner = env.LISTEN_PID ?? '';
  if (owner !== String(pid)) {
    const stray = env.GOSUPER_WORKER_ID === undefined ? '' : owner !== '' ? explain(owner) : clustered() > 0 ? FORKED : '';
    return { supervised: false, stray, worker, sockets: [], notify: -1, scoreboard: -1, fleet: -1, access: -1, tls: -1, limits: {} };
  }
  const given = {
    supervised: env.GOSUPER_WORKER_ID !== undefined,
    stray: '',
    worker,
    sockets: Array.from({ length: number('LISTEN_FDS') }, (_, i) => FIRST_SOCKET + i),
    notify: number('GOSUPER_NOTIFY_FD', -1),
    scoreboard: number('GOSUPER_SCOREBOARD_FD', -1),
    fleet: number('GOSUPER_FLEET_FD', -1),
    access: number('GOSUPER_ACCESS_FD', -1),
    tls: number('GOSUPER_TLS_FD', -1),
    backlogTimeout: number('GOSUPER_LIMIT_BACKLOG_TIMEOUT_MS'),
    accessFormat: env.GOSUPER_ACCESS_FORMAT,
    stopSignal: env.GOSUPER_STOP_SIGNAL ?? 'SIGTERM',
    watchdog: number('WATCHDOG_USEC') / 1000, // in milliseconds, as is keepalive
    keepalive: number('GOSUPER_LIMIT_KEEPALIVE_MS', 5000),
    limits: {
      connections: number('GOSUPER_LIMIT_CONNECTIONS'),
      requests: number('GOSUPER_LIMIT_REQUESTS'),
      failures: number('GOSUPER_LIMIT_FAILURES'),
      timeout: number('GOSUPER_LIMIT_TIMEOUT_MS') * MS,
      stream: number('GOSUPER_LIMIT_STREAM_TIMEOUT_MS') * MS,
      upgrade: number('GOSUPER_LIMIT_UPGRADE_TIMEOUT_MS') * MS,
      request: number('GOSUPER_LIMIT_REQUEST_TIMEOUT_MS') * MS,
    },
  };
  for (const name of READ_ONCE) delete env[name];
  return given;
}

function explain(owner) {
  let words = '';
  try {
    words = fs.readFileSync(`/proc/${owner}/cmdline`, 'utf8').replace(/\0/g, ' ').trim();
  } catch {}
  const between = words ? `${JSON.stringify(words)} (process ${owner})` : `process ${owner}, which is gone`;
  return (
    `gosuper started ${between}, and this process below it: signals and reports would go astray; ` +
    'let it exec the server (`exec node server.js`), or name node itself as the command'
  );
}

// clustered is the number that node:cluster has given this process, 0 if it has not forked it.
function clustered() {
  return (process.send && require('node:cluster').worker?.id) ?? 0; // who has no channel need not load it
}

module.exports = { FORKED, clustered, take };
