'use strict';
// A server in this process with its limits, and what it notes.

const net = require('node:net');
const { Board } = require('../lib/board.cjs');
const { MS } = require('../lib/clock.cjs');
const { Fleet } = require('../lib/fleet.cjs');
const { Gate } = require('../lib/gate.cjs');
const { Ledger } = require('../lib/ledger.cjs');
const { watch } = require('../lib/watch.cjs');

const SHORT = 150; // milliseconds
const LONG = 60_000;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// serve has a server listen with limits in milliseconds. The lines are the entries of the access log, and what is got of a
// raw connection is text.
async function serve(t, limits, server) {
  const ns = Object.fromEntries(['timeout', 'stream', 'upgrade', 'request'].map((k) => [k, (limits[k] ?? 0) * MS]));
  const lines = [];
  const log = { write: (entry) => lines.push(entry) };
  const reasons = [];
  const notify = { recycle: (reason) => reasons.push(reason), failing: () => reasons.push('failing') };
  const board = new Board();
  const gate = new Gate(0, new Fleet().place(0), 1);
  const ledger = new Ledger(board, gate, { ...ns, requests: limits.requests ?? 0, failures: limits.failures ?? 0 }, notify, log);
  const leave = new AbortController();
  const drain = { signal: leave.signal, accepted: () => {}, turn: () => 0, ends: (exchange) => exchange.last() };
  watch(server, ledger, drain, limits.keepalive ?? 5000, limits.lines, limits.pair);
  const sockets = new Set();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address();
  const line = async () => {
    while (lines.length === 0) await pause(5);
    return lines.shift();
  };
  const raw = (text) => {
    const socket = net.connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(text);
    socket.got = '';
    socket.setEncoding('latin1').on('data', (piece) => (socket.got += piece));
    socket.closed_ = new Promise((resolve) => {
      let error = '';
      socket.on('error', ({ code }) => (error = code)).on('close', () => resolve(error));
    });
    return socket;
  };
  return { server, port, lines, line, raw, board, gate, ledger, reasons, leave };
}

module.exports = { serve, SHORT, LONG, pause };
