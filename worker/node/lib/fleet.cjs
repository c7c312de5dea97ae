'use strict';
// The fleet page, on which each worker tells all others how busy it is, laid out as package scoreboard says.

const fs = require('node:fs');
const { now, MS } = require('./clock.cjs');
const { later } = require('./turn.cjs');
const { get64, set64, view } = require('./words.cjs');

const PLACE_SIZE = 64;
const CAPACITY = 8;
const BEAT = 16;
const ID = 24;
const OPEN = 32;
const USED = 40;

// A Fleet is the page as this worker last read it.
class Fleet {
  #fd;
  #bytes;
  #words;

  // Without a descriptor there is nobody else.
  constructor(fd = -1) {
    const size = fd >= 0 ? fs.fstatSync(fd).size : 0;
    if (size % 4096 !== 0) throw new Error(`${size} bytes are no fleet page`);
    this.#fd = fd;
    this.#bytes = Buffer.alloc(size);
    this.#words = view(this.#bytes);
  }

  get places() {
    return this.#bytes.length / PLACE_SIZE;
  }

  // read looks at the first places again.
  read(places) {
    if (places > 0) fs.readSync(this.#fd, this.#bytes, 0, PLACE_SIZE * places, 0);
  }

  // busy is how busy the worker in a place is, -1 if nobody accepts connections there.
  busy(place) {
    const at = PLACE_SIZE * place;
    return get64(this.#words, at + ID) === 0 ? -1 : get64(this.#words, at);
  }

  occupant(place) {
    const at = PLACE_SIZE * place;
    const word = (offset) => get64(this.#words, at + offset);
    return { id: word(ID), busy: word(0), open: word(OPEN), capacity: word(CAPACITY), beat: word(BEAT) };
  }

  // place is where a worker writes.
  place(place) {
    return new Place(place < this.places ? this.#fd : -1, PLACE_SIZE * place, place < this.places ? this.#bytes : undefined);
  }
}

// A Place is where one worker tells the others. How busy it is they see at the end of the turn of the event loop.
class Place {
  #fd;
  #at;
  #bytes = Buffer.alloc(PLACE_SIZE);
  #words = view(this.#bytes);
  #beat = 0;
  #busy = 0;
  #open = 0;
  #told = { busy: 0, open: 0, at: 0 };
  #later = false; // whether it will be told
  #tell = () => this.#look();

  constructor(fd, at, page) {
    this.#fd = fd;
    this.#at = at;
    if (page) {
      fs.readSync(fd, page, at, PLACE_SIZE, at);
      this.#beat = get64(view(page), at + BEAT);
    }
  }

  // enter says that the worker of this id accepts connections, up to a capacity or, with 0, without one.
  enter(id, capacity) {
    set64(this.#words, CAPACITY, capacity);
    this.#flush();
    set64(this.#words, ID, id);
    this.#flush();
  }

  leave() {
    set64(this.#words, ID, 0);
    this.#flush();
  }

  // set tells how busy the worker is and how many connections are open; every call is a sign of life, which nobody needs
  // more often than one waits for it.
  set(busy, open) {
    this.#busy = busy;
    this.#open = open;
    if (this.#later || this.#fd < 0) return;
    this.#later = true;
    later(this.#tell);
  }

  #look() {
    this.#later = false;
    const time = now();
    const { busy, open, at } = this.#told;
    if (busy === this.#busy && open === this.#open && time - at < MS) return;
    this.#told = { busy: this.#busy, open: this.#open, at: time };
    this.#flush();
  }

  #flush() {
    if (this.#fd < 0) return;
    this.#beat += 1;
    set64(this.#words, 0, this.#busy);
    set64(this.#words, OPEN, this.#open);
    set64(this.#words, BEAT, this.#beat);
    fs.writeSync(this.#fd, this.#bytes, 0, USED, this.#at);
  }
}

module.exports = { Fleet };
