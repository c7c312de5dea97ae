'use strict';
// The thread of onlooker.cjs.

const fs = require('node:fs');
const inspector = require('node:inspector');
const { parentPort, workerData } = require('node:worker_threads');
const { now, MS } = require('./clock.cjs');
const { Deputy } = require('./deputy.cjs');
const { Onlooker } = require('./onlooker.cjs');

const LOOK = 250; // milliseconds, as all that follow
const PULSE = 20; // two looks are never closer to each other
const BLOCKED = 50; // a turn that is no longer than that shows what it does itself, and answers
const LAG = 20; // so late a loop may be that answers itself
const LATE = 100; // so late is no look of a process that runs
const SPARED = 1000; // the longest time that a loop is given to come back
const LAST_CALL = 150; // before the end of the drain all are answered that the loop has not cut by then
const ASKED = 100; // after the end of the drain the master has asked, and knows that what comes is a stack
const INTERRUPT = 1000; // JavaScript is interrupted at once

const onlooker = new Onlooker(workerData);
const deputy = new Deputy(workerData);
const never = new Int32Array(new SharedArrayBuffer(4));
const sleep = (milliseconds) => Atomics.wait(never, 0, 0, milliseconds);
const blocked = () => deputy.blocked(() => parentPort.postMessage(0), BLOCKED);

let shown = 0;
let ending = onlooker.ending();
let refused = false;
let spared = 0; // until when nothing is ended at its limit
let first = true; // whether this thread has not looked since it began, or slept
for (;;) {
  first = onlooker.awaitRequest() || first;
  const begun = now();
  if (first) isLate(begun, begun - deputy.oldest());
  first = false;
  const last = ending.until > 0 && !refused ? ending.until - LAST_CALL * MS : Infinity;
  const asked = ending.abortFollows ? ending.until + ASKED * MS : Infinity;
  const at = Math.max(begun + PULSE * MS, Math.min(begun + LOOK * MS, deputy.due() + LAG * MS, last, asked));
  sleep((at - begun) / MS);
  show();
  ending = onlooker.ending();
  const time = now();
  if (!isLate(time, time - at)) stand(time);
  if (ending.abortFollows && now() >= ending.until + ASKED * MS) {
    interrupt();
    return;
  }
}

// isLate is whether this thread looks so late that the process was stopped or starved: the loop may take as long again.
function isLate(time, late) {
  if (late < LATE * MS) return false;
  spared = Math.max(spared, time + Math.min(late, SPARED * MS));
  return true;
}

// show has the master see what the loop would have shown.
function show() {
  const turn = onlooker.unwritten();
  if (!turn || turn === shown) return;
  sleep(BLOCKED);
  if (onlooker.unwritten() !== turn) return;
  shown = turn;
  onlooker.write(deputy);
}

// stand answers in the place of the loop.
function stand(time) {
  const last = ending.until > 0 && !refused && time >= ending.until - LAST_CALL * MS;
  const spares = time < spared;
  if ((!last && (spares || deputy.due() > time - LAG * MS)) || !blocked()) return;
  const due = spares ? 0 : deputy.expire(time);
  const rest = last ? deputy.refuse() : 0;
  refused ||= last;
  if (due + rest === 0) return;
  onlooker.write(deputy);
  fs.writeSync(2, `gosuper: the event loop is blocked: ${due} requests were ended at their limit, and ${rest} refused, by a thread\n`);
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
