'use strict';
// The worker's side of the scoreboard, whose layout the package comment of worker/scoreboard says. Node cannot map
// memory, so what changes is written where it belongs; each word goes with one write.

const fs = require('node:fs');

const SIZE = 65536;
const SLOTS = 240;
const NO_SLOT = -1;
const STARTING = 1;
const READY = 2;
const DRAINING = 3;
const IN_USE = 1;
const STREAMING = 2;
const UPGRADED = 4;
const ENDED = 8;

const SLOT_COUNT = 20;
const STATE = 28;
const BEAT = 32;
const DRAIN_UNTIL = 64;
const LEAVING = 72;
const STARTED = 128;
const FINISHED = 192;
const TIMEOUTS = 240;
const ACCEPTED = 256;
const OPEN = 264;
const UNSLOTTED = 272;
const DURATION = 288;
const HISTOGRAM = 512;
const FIRST_SLOT = 4096;
const SLOT_SIZE = 256;
const FLAGS = 32;

class Board {
  #fd;
  #bytes = Buffer.alloc(SIZE);
  #free = Array.from({ length: SLOTS }, (_, i) => SLOTS - 1 - i);

  // Without a descriptor nobody else sees the board.
  constructor(fd = -1) {
    if (fd >= 0 && fs.fstatSync(fd).size !== SIZE) throw new Error(`the board has not ${SIZE} bytes`);
    this.#fd = fd;
  }

  // writeHeader makes the worker a cooperating one that is starting; the magic comes last.
  writeHeader(pid) {
    [1, 4096, SLOT_SIZE, 0, pid, STARTING].forEach((word, i) => this.#bytes.writeUInt32LE(word, 8 + 4 * i));
    this.#write(8, 24);
    this.#bytes.write('GOSUPER1', 0, 'latin1');
    this.#write(0, 8);
  }

  setState(state) {
    this.#set32(STATE, state);
  }

  beat() {
    this.#add(BEAT);
  }

  // drainUntil is when the master is going to kill this worker, in CLOCK_MONOTONIC nanoseconds, 0 if it is not known.
  drainUntil() {
    return this.#read(DRAIN_UNTIL);
  }

  // leaving is whether the listening socket of this index is to be accepted empty before it is closed.
  leaving(index) {
    return index < 64 && ((this.#read(LEAVING) >> BigInt(index)) & 1n) === 1n;
  }

  accepted() {
    this.#add(ACCEPTED);
    this.#add(OPEN);
  }

  closed() {
    this.#add(OPEN, -1n);
  }

  // finished counts a request that ends with this status after so many nanoseconds.
  finished(status, duration) {
    this.#add(FINISHED);
    if (status >= 100 && status < 600) this.#add(FINISHED + 8 * Math.floor(status / 100));
    const bits = duration === 0n ? 0 : duration.toString(2).length;
    let bucket = 0;
    if (bits > 45) bucket = 63;
    else if (bits > 14) bucket = 2 * bits - 29 + Number((duration >> BigInt(bits - 2)) & 1n);
    this.#add(HISTOGRAM + 8 * bucket);
    this.#add(DURATION, duration);
  }

  timedOut() {
    this.#add(TIMEOUTS);
  }

  // take counts a request that begins, and puts it into a free slot, if there is one.
  take(start, deadline, method, path, id) {
    this.#add(STARTED);
    const slot = this.#free.pop();
    if (slot === undefined) {
      this.#add(UNSLOTTED);
      return NO_SLOT;
    }
    if (slot >= this.#bytes.readUInt32LE(SLOT_COUNT)) this.#set32(SLOT_COUNT, slot + 1);
    const at = FIRST_SLOT + SLOT_SIZE * slot;
    const bytes = this.#bytes;
    const sequence = bytes.readBigUInt64LE(at);
    bytes.fill(0, at + FLAGS, at + 248);
    [sequence + 1n, start, start, deadline].forEach((word, i) => bytes.writeBigUInt64LE(word, at + 8 * i));
    bytes.writeUInt32LE(IN_USE, at + FLAGS);
    bytes[at + 36] = text(bytes, at + 40, 16, method);
    bytes[at + 37] = text(bytes, at + 56, 128, path);
    bytes[at + 38] = text(bytes, at + 184, 64, id);
    this.#write(at, 8); // odd, while the rest is being written
    this.#write(at + 8, 240);
    this.#set64(at, sequence + 2n);
    return slot;
  }

  progress(slot, now) {
    if (slot >= 0) this.#set64(FIRST_SLOT + SLOT_SIZE * slot + 16, now);
  }

  // mark adds flags to a slot that is in use.
  mark(slot, flags) {
    if (slot < 0) return;
    const at = FIRST_SLOT + SLOT_SIZE * slot + FLAGS;
    this.#set32(at, this.#bytes.readUInt32LE(at) | flags);
  }

  free(slot) {
    if (slot < 0) return;
    this.#set32(FIRST_SLOT + SLOT_SIZE * slot + FLAGS, 0);
    this.#free.push(slot);
  }

  // contents are the bytes as this worker has written them.
  contents() {
    return this.#bytes;
  }

  #add(at, n = 1n) {
    this.#set64(at, BigInt.asUintN(64, this.#bytes.readBigUInt64LE(at) + n));
  }

  #set64(at, value) {
    this.#bytes.writeBigUInt64LE(value, at);
    this.#write(at, 8);
  }

  #set32(at, value) {
    this.#bytes.writeUInt32LE(value, at);
    this.#write(at, 4);
  }

  #write(at, length) {
    if (this.#fd >= 0) fs.writeSync(this.#fd, this.#bytes, at, length, at);
  }

  #read(at) {
    if (this.#fd >= 0) fs.readSync(this.#fd, this.#bytes, at, 8, at);
    return this.#bytes.readBigUInt64LE(at);
  }
}

function text(bytes, at, room, value) {
  const printable = Buffer.from(value).subarray(0, room).map((c) => (c >= 0x20 && c <= 0x7e ? c : 0x3f));
  bytes.set(printable, at);
  return printable.length;
}

module.exports = { Board, SIZE, SLOTS, NO_SLOT, READY, DRAINING, STREAMING, UPGRADED, ENDED };
