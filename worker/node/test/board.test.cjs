'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Board, READY, DRAINING, STREAMING, UPGRADED, ENDED, SLOTS, NO_SLOT } = require('../lib/board.cjs');

const GOLDEN = path.join(__dirname, '../../scoreboard/testdata/board-v1.bin');

test('the board has the bytes that every language is held to', () => {
  const board = new Board();
  board.writeHeader(4242);
  board.setState(READY);
  for (let i = 0; i < 3; i++) board.accepted();
  board.closed();
  const durations = [0n, 16383n, 16384n, 24576n, 10n ** 6n, 3600n * 10n ** 9n, 24n * 3600n * 10n ** 9n];
  [101, 200, 204, 301, 404, 503, 599].forEach((status, i) => board.finished(status, durations[i]));
  board.timedOut();
  board.timedOut();
  board.beat();
  assert.equal(board.take(1000n, 0n, 'GET', '/agent/stream', ''), 0);
  const odd = Buffer.from('/a\x1b[2J\u00e9\n');
  assert.equal(board.take(2000n, 9000n, 'POST', odd, '4bf92f35-77b3-4da6-a3ce-929d0e0e4736'), 1);
  assert.equal(board.take(4000n, 0n, 'DELETE', '/gone', 'id'), 2);
  const kept = [3, 4].map(() => board.take(1n, 0n, '', '', ''));
  const long = `/${'0123456789'.repeat(13)}`;
  assert.equal(board.take(3000n, 0n, 'PROPFIND-AND-MORE', long, 'x'.repeat(65)), 5);
  kept.forEach((slot) => board.free(slot));
  board.progress(0, 1500n);
  board.mark(0, STREAMING);
  board.mark(1, ENDED);
  board.mark(5, UPGRADED);
  board.free(2);
  board.setState(DRAINING);

  const want = fs.readFileSync(GOLDEN);
  const got = board.contents();
  // What the master writes, how many requests began and ended elsewhere, and the two slots that were only passed over.
  want.copy(got, 64, 64, 88);
  for (const at of [128, 192]) want.copy(got, at, at, at + 8);
  for (const slot of kept) want.copy(got, 4096 + 256 * slot, 4096 + 256 * slot, 4352 + 256 * slot);
  assert.deepEqual([...got.keys()].filter((i) => got[i] !== want[i]), []);
  assert.equal(board.drainUntil(), 0x0123456789abcdefn);
  assert.deepEqual([...Array(65).keys()].filter((i) => board.leaving(i)), [0, 2, 63]);
});

test('slots run out', () => {
  const board = new Board();
  const taken = Array.from({ length: SLOTS + 1 }, () => board.take(1n, 0n, 'GET', '/', ''));
  assert.deepEqual(taken, [...Array(SLOTS).keys(), NO_SLOT]);
});
