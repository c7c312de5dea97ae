'use strict';
// The thread of onlooker.cjs.

const fs = require('node:fs');
const inspector = require('node:inspector');
const { workerData } = require('node:worker_threads');
const { now, MS } = require('./clock.cjs');
const { Onlooker } = require('./onlooker.cjs');

const LOOK = 250; // milliseconds, as all that follow
const BLOCKED = 50; // a turn that is no longer than that shows what it does itself
const ASKED = 100; // after the end of the drain the master has asked, and knows that what comes is a stack
const INTERRUPT = 1000; // JavaScript is interrupted at once

const onlooker = new Onlooker(workerData);
const never = new Int32Array(new SharedArrayBuffer(4));
const sleep = (milliseconds) => Atomics.wait(never, 0, 0, milliseconds);

let shown = 0;
for (;;) {
  onlooker.awaitRequest();
  sleep(LOOK);
  const turn = onlooker.unwritten();
  if (turn && turn !== shown) {
    sleep(BLOCKED);
    if (onlooker.unwritten() === turn) {
      shown = turn;
      onlooker.write();
    }
  }
  while (onlooker.abortFollows()) {
    const left = (onlooker.drainUntil() - now()) / MS + ASKED;
    if (left <= 0) {
      interrupt();
      return;
    }
    sleep(Math.min(left, ASKED));
  }
}

function interrupt() {
  const session = new inspector.Session();
  const files = new Map();
  session.connectToMainThread();
  session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url));
  session.on('Debugger.paused', ({ params }) => {
    const frames = params.callFrames.map(({ functionName, location: { scriptId, lineNumber, columnNumber = 0 } }) => {
      const place = `${files.get(scriptId) ?? '?'}:${lineNumber + 1}:${columnNumber + 1}`;
      return functionName ? `    at ${functionName} (${place})` : `    at ${place}`;
    });
    end(['the event loop is blocked, most recent call first:', ...frames]);
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
  setTimeout(() => {
    const read = (name) => {
      try {
        return fs.readFileSync(`/proc/self/task/${process.pid}/${name}`, 'utf8').trim();
      } catch {
        return '?';
      }
    };
    const what = `it waits in ${read('wchan')}, system call ${read('syscall')}`;
    end([`the event loop is blocked, and not by JavaScript: ${what}`]);
  }, INTERRUPT);
}

// end writes lines, and ends the process, which nothing else can.
function end(lines) {
  fs.writeSync(2, `${lines.join('\n')}\n`);
  process.kill(process.pid, 'SIGKILL');
}
