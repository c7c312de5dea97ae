'use strict';
// A thread that stands in for an event loop that is blocked: it shows the requests on the board that the loop could not, and
// says where the loop is when the master asks a worker that hangs for its stacks. It costs about 10 MB, sleeps while no
// request is running, and else looks a few times a second.

const fs = require('node:fs');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { LAYOUT, ONLOOKER } = require('./board.cjs');
const { get64 } = require('./words.cjs');

// An Onlooker sees the board of another thread as that one writes it.
class Onlooker {
  #fd;
  #bytes;
  #state;
  #word = Buffer.alloc(8);

  constructor({ fd, memory, state }) {
    this.#fd = fd;
    this.#bytes = Buffer.from(memory);
    this.#state = state;
  }

  // awaitRequest returns while a request is running.
  awaitRequest() {
    Atomics.wait(this.#state, ONLOOKER.BUSY, 0);
  }

  // unwritten is the number of the turn of the loop of which the master does not know all yet, 0 if it does.
  unwritten() {
    const turn = Atomics.load(this.#state, ONLOOKER.TURN);
    return turn % 2 ? turn : 0;
  }

  // write has the master see the board as it is. The loop may be back and write at the same time: each write copies what is
  // there when its turn comes, so the last one has it all.
  write() {
    Atomics.add(this.#state, ONLOOKER.WRITTEN, 1);
    const { STARTED, COUNTERS_END, FIRST_SLOT, SLOT_SIZE, SLOT_COUNT } = LAYOUT;
    const used = this.#bytes.readUInt32LE(SLOT_COUNT);
    fs.writeSync(this.#fd, this.#bytes, STARTED, COUNTERS_END - STARTED, STARTED);
    fs.writeSync(this.#fd, this.#bytes, FIRST_SLOT, SLOT_SIZE * used, FIRST_SLOT);
  }

  // abortFollows is whether the abort signal comes at drainUntil, and time to answer it.
  abortFollows() {
    return this.#read(LAYOUT.ABORT_FOLLOWS) !== 0;
  }

  drainUntil() {
    return this.#read(LAYOUT.DRAIN_UNTIL);
  }

  #read(at) {
    fs.readSync(this.#fd, this.#word, 0, 8, at);
    return get64(this.#word, 0);
  }
}

// watchLoop has the thread look at the loop of this one, by its board.
function watchLoop(board) {
  const thread = new Worker(path.join(__dirname, 'onlooker.thread.cjs'), {
    workerData: board.shared(),
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  });
  thread.once('online', () => board.watched());
  thread.on('error', (error) => process.stderr.write(`gosuper: a blocked event loop will not be seen: ${error.message}\n`));
  thread.unref();
  // Where the loop is not blocked this is called, before the thread asks it anything.
  process.once('SIGABRT', () => {
    process.stderr.write('the event loop is not blocked\n');
    process.kill(process.pid, 'SIGABRT'); // whose action is the default now
  });
}

module.exports = { Onlooker, watchLoop };
