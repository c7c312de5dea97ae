'use strict';
// The package as a program has it that no master has started.

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { EventEmitter } = require('node:events');
const { test } = require('node:test');
const gosuper = require('..');

test('it is the same however it is loaded, and has the types that it says', async () => {
  const types = fs.readFileSync(path.join(__dirname, '../lib/index.d.ts'), 'utf8');
  const names = [...types.matchAll(/^export (?:function|const) (\w+)/gm)].map(([, name]) => name).sort();
  const { default: whole, ...named } = await import('../lib/index.mjs');
  assert.equal(whole, gosuper);
  assert.deepEqual({ ...named }, gosuper);
  assert.deepEqual(Object.keys(gosuper).sort(), names);
});

test('without a master a server has its port', async (t) => {
  const server = http.createServer((request, response) => response.end('alone'));
  await gosuper.listen(server, 0);
  t.after(() => server.close());
  const answer = await fetch(`http://127.0.0.1:${server.address().port}`);
  assert.equal(await answer.text(), 'alone');
  await assert.rejects(gosuper.listen(http.createServer(), server.address().port), { code: 'EADDRINUSE' });

  const said = Object.assign(new EventEmitter(), {
    listen(options, listening) {
      assert.deepEqual(options, { port: 8000 });
      listening();
    },
  });
  await gosuper.listen(said);
});

test('without a master nobody is told anything', () => {
  gosuper.recycle('leaks');
  const job = gosuper.request('JOB', '/1');
  job.progress();
  job.end(200);
  assert.equal(job.signal.aborted, false);
  assert.equal(gosuper.draining.aborted, false);
  assert.deepEqual({ ...gosuper.worker }, { id: 0, slot: 0, place: 0, generation: 0 });
});
