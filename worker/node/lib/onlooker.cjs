'use strict';
// A thread that stands in for an event loop that is blocked: it shows the requests on the board that the loop could not,
// answers those that are due, and all before the worker is killed, and says where the loop is when the master asks a worker
// that hangs for its stacks. It costs about 10 MB, sleeps while no request is running, and else looks a few times a second.

const fs = require('node:fs');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { ONLOOKER } = require('./board.cjs');
const LAYOUT = require('./layout.cjs');
const { get64, view } = require('./words.cjs');

// An Onlooker sees the board of another thread as that one writes it.
class Onlooker {
  #fd;
  #bytes;
  #state;
  #counters = Buffer.alloc(LAYOUT.COUNTERS_END);
  #told = Buffer.alloc(LAYOUT.ABORT_FOLLOWS + 8 - LAYOUT.DRAIN_UNTIL);

  constructor({ fd, memory, state }) {
    this.#fd = fd;
    this.#bytes = Buffer.from(memory);
    this.#state = state;
  }

  // awaitRequest returns while a request is running, and whether it has waited for that.
  awaitRequest() {
    Atomics.store(this.#state, ONLOOKER.ASLEEP, 1);
    const waited = Atomics.wait(this.#state, ONLOOKER.BUSY, 0) === 'ok';
    Atomics.store(this.#state, ONLOOKER.ASLEEP, 0);
    return waited;
  }

  // unwritten is the number of the turn of the loop of which the master does not know all yet, 0 if it does.
  unwritten() {
    const turn = Atomics.load(this.#state, ONLOOKER.TURN);
    return turn % 2 ? turn : 0;
  }

  // write has the master see the board as it is, and what the deputy has answered. The loop may be back and write at the same
  // time: each write copies what is there when its turn comes, so the last one has it all.
  write(deputy) {
    Atomics.add(this.#state, ONLOOKER.WRITTEN, 1);
    const { STARTED, COUNTERS_END, FIRST_SLOT, SLOT_SIZE, SLOT_COUNT } = LAYOUT;
    const used = this.#bytes.readUInt32LE(SLOT_COUNT);
    this.#bytes.copy(this.#counters, STARTED, STARTED, COUNTERS_END);
    deputy.account(this.#counters);
    fs.writeSync(this.#fd, this.#counters, STARTED, COUNTERS_END - STARTED, STARTED);
    fs.writeSync(this.#fd, this.#bytes, FIRST_SLOT, SLOT_SIZE * used, FIRST_SLOT);
  }

  // ending is when the worker is killed, 0 if that is not known, and whether the abort signal comes first, and time to answer
  // it.
  ending() {
    const { DRAIN_UNTIL, ABORT_FOLLOWS } = LAYOUT;
    fs.readSync(this.#fd, this.#told, 0, this.#told.length, DRAIN_UNTIL);
    const words = view(this.#told);
    const until = get64(words, 0); // which the master may say after the other
    return { until, abortFollows: until > 0 && get64(words, ABORT_FOLLOWS - DRAIN_UNTIL) !== 0 };
  }
}

// watchLoop has the thread look at the loop of this one, by its board, and answer on its lines what has a timeout of so many
// nanoseconds, 0 for none.
function watchLoop(board, lines, timeout) {
  const thread = new Worker(path.join(__dirname, 'onlooker.thread.cjs'), {
    workerData: { ...board.shared(), lines: lines.shared(), timeout },
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  });
  thread.once('online', () => board.watched());
  thread.on('error', (error) => process.stderr.write(`gosuper: a blocked event loop will not be seen: ${error.message}\n`));
  thread.on('message', () => lines.here());
  thread.unref();
  // Where the loop is not blocked this is called, before the thread asks it anything.
  process.once('SIGABRT', () => {
    process.stderr.write('the event loop is not blocked\n');
    process.kill(process.pid, 'SIGABRT'); // whose action is the default now
  });
}

module.exports = { Onlooker, watchLoop };
