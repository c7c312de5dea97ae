'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { MS } = require('../lib/clock.cjs');
const { Fleet } = require('../lib/fleet.cjs');
const { Gate } = require('../lib/gate.cjs');
const { Spread } = require('../lib/spread.cjs');

// page returns a fleet page and places on it.
function page(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gosuper-node-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.writeFileSync(path.join(folder, 'page'), Buffer.alloc(4096));
  const fleet = new Fleet(fs.openSync(path.join(folder, 'page'), 'r+'));
  return { fleet, place: (n) => fleet.place(n) };
}

const standing = (busy, open) => ({ busy, open, ended: 0, closed: 0 });

test('the next connection is for who is less busy, or has fewer open', async (t) => {
  const { fleet, place } = page(t);
  const other = place(2);
  const tell = async (busy, open) => {
    other.set(busy, open);
    await new Promise(setImmediate);
  };
  const consider = (own) => new Spread(fleet, 0).consider(own);
  assert.equal(consider(standing(5, 5)), undefined, 'there is nobody else');
  other.enter(7, 10);
  await tell(1, 1);
  assert.equal(consider(standing(0, 1)), undefined, 'nobody is less busy');
  assert.equal(consider(standing(1, 2)), undefined, 'one connection more is nothing');
  assert.deepEqual(consider(standing(2, 2)), { time: 2.5 * MS, place: 2, until: 1 });
  assert.deepEqual(consider(standing(5, 5)), { time: 4 * MS, place: 2, until: 1 });
  assert.deepEqual(consider(standing(1, 3)), { time: Math.floor((5 * MS * 2) / 3), place: 2, until: 0 });
  await tell(10, 1);
  assert.equal(consider(standing(11, 11)), undefined, 'the other is full');
  await tell(1, 1);
  other.leave();
  assert.equal(consider(standing(5, 5)), undefined, 'the other does not accept');
});

test('nobody waits again for a worker that does not react', async (t) => {
  const { fleet, place } = page(t);
  const other = place(1);
  other.enter(7, 0);
  const spread = new Spread(fleet, 0);
  const own = standing(4, 4);
  assert.equal(spread.consider(own)?.place, 1);
  for (let i = 0; i < 10; i++) spread.disregard(1); // for half a second
  assert.equal(spread.consider(own), undefined);
  other.set(0, 0);
  await new Promise(setImmediate);
  assert.equal(spread.consider(own)?.place, 1, 'it shows a sign of life');
});

test('a connection counts until its first request, for a second at most', (t) => {
  const gate = new Gate(2, new Fleet().place(0), 1);
  gate.admit('a');
  assert.deepEqual(gate.standing(), { busy: 1, open: 1, ended: 0, closed: 0 });
  gate.begin('a');
  assert.equal(gate.full, false);
  gate.begin('a');
  assert.equal(gate.full, true);
  let resumed = 0;
  gate.await({ resume: () => resumed++ }, gate.room);
  gate.finish();
  assert.equal(resumed, 1);
  gate.finish();
  gate.forget('a');
  gate.admit('b');
  assert.ok(gate.expireFresh() > 0);
  t.mock.method(performance, 'now', () => 1e9);
  assert.equal(gate.expireFresh(), 0);
  assert.deepEqual(gate.standing(), { busy: 0, open: 1, ended: 2, closed: 1 });
});
