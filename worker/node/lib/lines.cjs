'use strict';
// Connections on which a thread may answer while the event loop of this one is blocked: those that speak plain HTTP/1.1.
//
// Each has a word of shared memory that says who may write to its descriptor. The loop takes the word before it sends the
// first byte of an answer, and before it closes the descriptor, which could be another file then; the thread takes it while
// it writes. So neither says anything where the other has, whenever the loop comes back.

const COUNT = 4096; // connections beyond it the thread does not know
const LINE = Symbol('the line of a connection');

// A word is the descriptor and one of these, where the thread may answer: no request is running, or one of whose answer
// nothing was sent. Else it is one of those below, or the negative of the status that the thread has answered with.
const KIND = 4;
const [IDLE, WAITING] = [1, 2];
const [OURS, TAKEN] = [0, -1];

// Where things are: how many words were ever in use, how often the loop has shown that it is not blocked, the words, and the
// slots that the requests have on the board.
const [USED, SHOWN, WORDS, SLOTS] = [0, 1, 2, 2 + COUNT];
const SIZE = SLOTS + COUNT;

// Lines are those of the connections of this thread.
class Lines {
  #words = new Int32Array(new SharedArrayBuffer(4 * SIZE));
  #free = [];

  // shared is what a deputy gets.
  shared() {
    return this.#words;
  }

  // here shows that the loop is not blocked.
  here() {
    Atomics.add(this.#words, SHOWN, 1);
    Atomics.notify(this.#words, SHOWN);
  }

  // open gives a connection that was just accepted its line, where Node says which descriptor it has.
  open(socket) {
    const handle = socket._handle;
    const fd = handle?.fd;
    const index = fd >= 0 ? (this.#free.pop() ?? this.#another()) : COUNT;
    if (index === COUNT) return;
    const line = new Line(this.#words, index, fd, this.#free);
    socket[LINE] = line;
    handle[LINE] = line;
    handle.close = close;
    if (handle.reset) handle.reset = reset;
  }

  #another() {
    const used = this.#words[USED];
    if (used < COUNT) Atomics.store(this.#words, USED, used + 1);
    return used;
  }
}

// close and reset are those of a handle, whose line they give up first.
function close(callback) {
  this[LINE].close();
  return Object.getPrototypeOf(this).close.call(this, callback);
}

function reset(callback) {
  this[LINE].close();
  return Object.getPrototypeOf(this).reset.call(this, callback);
}

// A Line is that of one connection.
class Line {
  #words;
  #index;
  #idle; // the word while no request is running, OURS if the thread may never answer
  #waiting;
  #free; // where the index goes when the line is closed
  #closed = false;

  constructor(words, index, fd, free) {
    this.#words = words;
    this.#free = free;
    this.#index = index;
    this.#idle = KIND * fd + IDLE;
    this.#waiting = KIND * fd + WAITING;
    Atomics.store(words, WORDS + index, this.#idle);
  }

  // begin says that a request is running, which has this slot. Where another one is, none of them can be answered by who does
  // not know which is first.
  begin(slot) {
    if (this.#closed) return;
    this.#words[SLOTS + this.#index] = slot;
    if (Atomics.compareExchange(this.#words, WORDS + this.#index, this.#idle, this.#waiting) !== this.#idle) this.leave();
  }

  // take has the loop answer, and returns whether it may: the thread has not.
  take() {
    if (this.#closed) return true;
    const was = Atomics.compareExchange(this.#words, WORDS + this.#index, this.#waiting, OURS);
    return was === this.#waiting || this.#set(OURS) >= OURS;
  }

  // idle says that all of an answer was sent. Where the word was not taken for it, the application writes by other ways than
  // those that take it, and will do so again.
  idle() {
    if (this.#closed || this.#idle === OURS) return;
    const was = Atomics.compareExchange(this.#words, WORDS + this.#index, OURS, this.#idle);
    if (was === this.#waiting) this.leave();
  }

  // accounted says that this thread has accounted for the answer of the other one.
  accounted() {
    if (!this.#closed) Atomics.store(this.#words, WORDS + this.#index, OURS);
    this.#idle = OURS;
  }

  // leave has the thread never answer.
  leave() {
    this.#idle = OURS;
    this.take();
  }

  // status is that of the answer of the thread, 0 if it has not answered.
  get status() {
    return this.#closed ? 0 : Math.max(0, -this.#settled());
  }

  // close gives the line up.
  close() {
    if (this.#closed) return;
    this.#closed = true;
    const at = WORDS + this.#index;
    for (let was = this.#settled(); Atomics.compareExchange(this.#words, at, was, OURS) !== was; ) was = this.#settled();
    this.#free.push(this.#index);
  }

  // set changes the word, unless the thread has answered, and returns what it was.
  #set(word) {
    const at = WORDS + this.#index;
    for (;;) {
      const was = this.#settled();
      if (was < OURS || Atomics.compareExchange(this.#words, at, was, word) === was) return was;
    }
  }

  // settled is the word when the thread is not at it.
  #settled() {
    const at = WORDS + this.#index;
    let word = Atomics.load(this.#words, at);
    while (word === TAKEN) {
      Atomics.wait(this.#words, at, TAKEN);
      word = Atomics.load(this.#words, at);
    }
    return word;
  }
}

// of is the line of a connection, undefined where it has none.
function of(socket) {
  return socket?.[LINE];
}

module.exports = { Lines, of, WORD: { KIND, IDLE, WAITING, TAKEN }, TABLE: { USED, SHOWN, WORDS, SLOTS } };
