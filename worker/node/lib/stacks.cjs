'use strict';
// Has a thread say where a blocked event loop is, when the master asks a worker that hangs for its stacks: the loop itself
// cannot. The thread costs about 10 MB. It sleeps while no request is running, and else looks at the board once a second.

const path = require('node:path');
const { Worker } = require('node:worker_threads');

const IDLE = 0;
const BUSY = 1;

class Stacks {
  #state = new Int32Array(new SharedArrayBuffer(4));

  // start has the thread look at the board behind a descriptor.
  start(board) {
    const thread = new Worker(path.join(__dirname, 'stacks.thread.cjs'), {
      workerData: { state: this.#state, board },
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
    });
    thread.on('error', (error) => process.stderr.write(`gosuper: no stacks can be had: ${error.message}\n`));
    thread.unref();
    // Where the loop is not blocked this is called, before the thread asks it anything.
    process.once('SIGABRT', () => {
      process.stderr.write('the event loop is not blocked\n');
      process.kill(process.pid, 'SIGABRT'); // whose action is the default now
    });
  }

  // busy says whether any request is running.
  busy(is) {
    Atomics.store(this.#state, 0, is ? BUSY : IDLE);
    if (is) Atomics.notify(this.#state, 0);
  }
}

module.exports = { Stacks, IDLE };
