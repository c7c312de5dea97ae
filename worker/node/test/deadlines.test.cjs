'use strict';
// When requests are due, by a clock of the test's own.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const clock = require('../lib/clock.cjs');

const { MS } = clock;
const TIMEOUT = 1000 * MS;
let time = 0;
clock.now = () => time;
const { Deadlines, WAITING } = require('../lib/deadlines.cjs');

for (const [silent, late, forgiven] of [
  [1000, 0, 0],
  [1000, 50, 0],
  [1040, 900, 900],
  [1100, 101, 101],
  [5000, 4000, 5000],
  [300, 4000, 300],
  [300, 900, 300],
  [300, 200, 0],
  [980, 480, 480],
]) {
  test(`${silent} ms without progress, seen ${late} ms late, are ${forgiven} ms less`, (t) => {
    let fire;
    let delay;
    t.mock.method(globalThis, 'setTimeout', (callback, milliseconds) => {
      fire = callback;
      delay = milliseconds;
      return { unref() {} };
    });
    const ended = [];
    const deadlines = new Deadlines({ timeout: TIMEOUT }, (request) => {
      ended.push(request);
      request.finished = true;
    });
    const request = {
      phase: WAITING,
      start: 0,
      exchange: {},
      forgive(progress) {
        this.progress = progress;
      },
    };
    deadlines.running.add(request);
    time = 0;
    deadlines.begun(request);
    time = (delay + late) * MS;
    const began = time - silent * MS;
    request.progress = began;
    fire();
    assert.equal(request.progress, began + forgiven * MS);
    assert.equal(ended.length, silent - forgiven >= 1000 ? 1 : 0);
    while (ended.length === 0) {
      time += delay * MS;
      fire();
      assert.ok(ended.length === 1 || time < request.progress + TIMEOUT);
    }
    assert.ok(time >= request.progress + TIMEOUT);
  });
}
