'use strict';
// cost.cjs [REQUESTS]: what it costs to account for a request, and to accept by turns, in processor time of this process,
// client included: the same server without and with it, in turns.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { Board } = require('../lib/board.cjs');
const { MS } = require('../lib/clock.cjs');
const { Fleet } = require('../lib/fleet.cjs');
const { Gate } = require('../lib/gate.cjs');
const { Intake } = require('../lib/intake.cjs');
const { Lines } = require('../lib/lines.cjs');
const { Ledger } = require('../lib/ledger.cjs');
const { Spread } = require('../lib/spread.cjs');
const { watch } = require('../lib/watch.cjs');

const ROUNDS = 7;
const AT_A_TIME = 8;

// memory is a file that is in memory, as the master's is.
function memory(size) {
  const folder = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
  const name = path.join(folder, `gosuper-cost-${process.pid}-${size}`);
  const fd = fs.openSync(name, 'w+');
  fs.unlinkSync(name);
  fs.ftruncateSync(fd, size);
  return fd;
}

const board = new Board(memory(65536));
board.watched(); // a thread writes what a blocked loop would not
const fleet = new Fleet(memory(4096));

// listen is a server with as much of it as that: 0, accounting, or taking turns too.
async function listen(much) {
  const server = http.createServer((request, response) => response.end('hello\n'));
  const gate = new Gate(0, fleet.place(0), 1);
  if (much > 0) {
    const limits = { timeout: 60_000 * MS, stream: 60_000 * MS, upgrade: 0, request: 0, requests: 0, failures: 0 };
    watch(server, new Ledger(board, gate, limits, {}), { signal: new AbortController().signal, accepted: () => {} }, 5000, new Lines());
  }
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  if (much > 1) Intake.on(server, gate, new Spread(fleet, 0), false);
  return server;
}

// play sends so many requests, and returns the microseconds that each has taken.
async function play(server, kept, requests) {
  const { port } = server.address();
  const request = `GET / HTTP/1.1\r\nHost: x\r\n${kept ? '' : 'Connection: close\r\n'}\r\n`;
  let left = requests;
  const before = process.cpuUsage();
  const client = (resolve) => {
    if (left-- <= 0) return resolve();
    const socket = net.connect(port, '127.0.0.1');
    socket.write(request);
    if (kept) socket.on('data', () => (left-- > 0 ? socket.write(request) : socket.end()));
    socket.resume().once('close', () => client(resolve));
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, () => new Promise(client)));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / requests;
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

// compare is what each of the servers takes for a request, in the middle of the rounds.
async function compare(servers, kept, requests) {
  const took = servers.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < servers.length; i++) {
      const which = round % 2 ? servers.length - 1 - i : i;
      took[which].push(await play(servers[which], kept, requests));
    }
  }
  return took.map(median);
}

async function main() {
  const requests = Number(process.argv[2] ?? 20_000);
  const servers = await Promise.all([0, 1, 2].map(listen));
  for (const server of servers) await play(server, true, requests); // until all of it is compiled
  const [bare, accounted] = await compare(servers.slice(0, 2), true, requests);
  const [, without, turns] = await compare(servers, false, requests / 4);
  console.log(`accounting for a request: ${(accounted - bare).toFixed(2)} µs more than ${bare.toFixed(2)} µs`);
  console.log(`accepting by turns: ${(turns - without).toFixed(2)} µs more than ${without.toFixed(2)} µs for a connection`);
  process.exit();
}

main();
