'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { Board, ONLOOKER, READY, DRAINING, STREAMING, UPGRADED, ENDED, SLOTS, NO_SLOT } = require('../lib/board.cjs');
const LAYOUT = require('../lib/layout.cjs');
const { Onlooker } = require('../lib/onlooker.cjs');

const GOLDEN = path.join(__dirname, '../../scoreboard/testdata/board-v1.bin');

test('the board has the bytes that every language is held to', () => {
  const board = new Board();
  board.writeHeader(4242);
  board.canHold();
  board.canTell();
  board.setState(READY);
  for (let i = 0; i < 3; i++) board.accepted();
  board.closed();
  const durations = [0, 16383, 16384, 24576, 1e6, 3600e9, 24 * 3600e9];
  [101, 200, 204, 301, 404, 503, 599].forEach((status, i) => board.finished(status, durations[i]));
  board.timedOut();
  board.timedOut();
  board.beat();
  board.failed(100);
  board.succeeded(50);
  board.failed(200);
  assert.equal(board.failed(300), 2);
  assert.equal(board.take(1000, 0, 'GET', '/agent/stream', ''), 0);
  const odd = Buffer.from('/a\x1b[2J\u00e9\n').toString('latin1');
  assert.equal(board.take(2000, 9000, 'POST', odd, '4bf92f35-77b3-4da6-a3ce-929d0e0e4736'), 1);
  assert.equal(board.take(4000, 0, 'DELETE', '/gone', 'id'), 2);
  const kept = [3, 4].map(() => board.take(1, 0, '', '', ''));
  const long = `/${'0123456789'.repeat(13)}`;
  assert.equal(board.take(3000, 0, 'PROPFIND-AND-MORE', long, 'x'.repeat(65)), 5);
  kept.forEach((slot) => board.free(slot));
  board.progress(0, 1500);
  board.mark(0, STREAMING);
  board.mark(1, ENDED);
  board.mark(5, UPGRADED);
  board.free(2);
  board.setState(DRAINING);

  const want = fs.readFileSync(GOLDEN);
  const got = board.contents();
  // What the master writes, how many requests began and ended elsewhere, and the two slots that were only passed over.
  want.copy(got, 64, 64, 112);
  for (const at of [128, 192]) want.copy(got, at, at, at + 8);
  for (const slot of kept) want.copy(got, 4096 + 256 * slot, 4096 + 256 * slot, 4352 + 256 * slot);
  assert.deepEqual([...got.keys()].filter((i) => got[i] !== want[i]), []);
  assert.equal(board.drainUntil(), Number(0x0123456789abcdefn));
  assert.deepEqual([board.holds(), board.slot(), board.busyAt()], [false, 6, 3]);
  assert.deepEqual([...Array(65).keys()].filter((i) => board.leaving(i)), [0, 2, 63]);
});

test('the histogram has its borders', () => {
  const border = (k) => [2 ** (14 + k), 1.5 * 2 ** (14 + k)];
  const durations = Array.from({ length: 31 }, (_, k) => border(k)).flat();
  const bucket = (duration) => {
    const board = new Board();
    board.finished(200, duration);
    return board.contents().subarray(LAYOUT.HISTOGRAM, LAYOUT.COUNTERS_END).indexOf(1) / 8;
  };
  durations.forEach((duration, i) => assert.deepEqual([bucket(duration - 1), bucket(duration)], [i, i + 1]));
  assert.deepEqual([0, 2 ** 45 - 1, 2 ** 45, 2 ** 60].map(bucket), [0, 62, 63, 63]);
});

test('a counter goes on where a half of it is full', () => {
  const board = new Board();
  board.contents().writeUInt32LE(2 ** 32 - 1, LAYOUT.TIMEOUTS);
  board.timedOut();
  assert.equal(board.contents().readBigUInt64LE(LAYOUT.TIMEOUTS), 2n ** 32n);
});

test('slots run out', () => {
  const board = new Board();
  const taken = Array.from({ length: SLOTS + 1 }, () => board.take(1, 0, 'GET', '/', ''));
  assert.deepEqual(taken, [...Array(SLOTS).keys(), NO_SLOT]);
});

// on returns a board in a file, and a function that returns what the master sees.
function on(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gosuper-node-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'board');
  fs.writeFileSync(file, Buffer.alloc(LAYOUT.SIZE));
  return { board: new Board(fs.openSync(file, 'r+')), seen: () => fs.readFileSync(file) };
}

const NOBODY = { account() {} }; // a deputy who has answered nothing
const endOfTurn = () => new Promise(setImmediate);

test('what changes is on the board when the loop is back', async (t) => {
  const { board, seen } = on(t);
  const early = board.take(1000, 0, 'GET', '/early', '');
  assert.deepEqual(seen(), board.contents(), 'before there is an onlooker a request is seen at once');
  board.watched();
  await endOfTurn();
  const slot = board.take(1000, 0, 'GET', '/a', '');
  await endOfTurn();
  assert.deepEqual(seen(), board.contents());
  const before = seen();
  board.mark(slot, STREAMING);
  board.progress(slot, 2000);
  board.free(early);
  board.finished(200, 1000);
  assert.deepEqual(seen(), before);
  await endOfTurn();
  assert.deepEqual(seen(), board.contents());
  board.free(board.take(3000, 0, 'GET', '/short', ''));
  board.finished(200, 1000);
  await endOfTurn();
  assert.doesNotMatch(seen().toString('latin1'), /short/);
  board.free(slot);
  await endOfTurn();
  for (const one of [early, slot]) assert.equal(seen().readUInt32LE(4096 + 256 * one + 32), 0);
});

test('progress is on the board in time, and what was passed over is not', async (t) => {
  const { board, seen } = on(t);
  board.watched();
  const slots = [1, 2, 3].map((start) => board.take(start, 0, 'GET', '/stream', ''));
  await endOfTurn();
  slots.forEach((slot) => board.progress(slot, 1000 + slot));
  board.free(slots[1]);
  await endOfTurn();
  const progress = (slot) => Number(seen().readBigUInt64LE(4096 + 256 * slot + 16));
  assert.equal(progress(slots[0]), 1);
  const end = performance.now() + 60_000;
  while (progress(slots[0]) === 1 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([progress(slots[0]), progress(slots[2])], [1000 + slots[0], 1000 + slots[2]]);
  assert.deepEqual(seen(), board.contents());
  board.forgive(slots[0], 5000);
  await endOfTurn();
  assert.equal(progress(slots[0]), 5000);
});

test('a slot that another request takes in the same turn is that one\'s', async (t) => {
  const { board, seen } = on(t);
  board.watched();
  const onlooker = new Onlooker(board.shared());
  const slot = board.take(1000, 0, 'GET', '/first', 'one');
  await endOfTurn();
  board.free(slot);
  assert.equal(board.take(2000, 0, 'POST', '/second', 'two'), slot);
  await endOfTurn();
  assert.deepEqual(seen(), board.contents());
  onlooker.write(NOBODY);
  board.free(slot);
  assert.equal(board.take(3000, 0, 'GET', '/third', 'three'), slot);
  await endOfTurn();
  assert.deepEqual(seen(), board.contents());
  board.free(slot);
  board.free(board.take(4000, 0, 'GET', '/fourth', 'four'));
  await endOfTurn();
  assert.equal(seen().readUInt32LE(4096 + 32), 0);
});

test('what an onlooker shows is taken back', async (t) => {
  const { board, seen } = on(t);
  board.watched();
  const onlooker = new Onlooker(board.shared());
  const slot = board.take(1000, 0, 'GET', '/block', '');
  const turn = onlooker.unwritten();
  assert.ok(turn);
  assert.equal(board.shared().state[ONLOOKER.BUSY], 1);
  onlooker.write(NOBODY);
  assert.deepEqual(seen(), board.contents());
  board.free(slot);
  board.finished(200, 1000);
  await endOfTurn();
  assert.equal(seen().readUInt32LE(4096 + 32), 0);
  assert.equal(onlooker.unwritten(), 0);
  assert.equal(board.shared().state[ONLOOKER.BUSY], 0);
});
