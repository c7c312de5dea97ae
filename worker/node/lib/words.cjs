'use strict';
// Words in memory that is shared with others, as numbers, and texts. The methods of a Buffer take ten times as long on shared memory as
// those of a DataView.

const HALF = 2 ** 32;

// view is the memory of a Buffer as the functions below take it.
function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function set32(words, at, value) {
  words.setUint32(at, value, true);
}

function get32(words, at) {
  return words.getUint32(at, true);
}

function set64(words, at, value) {
  const low = value >>> 0;
  words.setUint32(at, low, true);
  words.setUint32(at + 4, (value - low) / HALF, true);
}

function get64(words, at) {
  return words.getUint32(at + 4, true) * HALF + words.getUint32(at, true);
}

function increment(words, at) {
  const low = words.getUint32(at, true) + 1;
  words.setUint32(at, low, true);
  if (low === HALF) words.setUint32(at + 4, words.getUint32(at + 4, true) + 1, true);
}

// text writes what the client sent, each character a byte, and returns how many are written: to write so few is faster than
// to call what writes many, and they are looked at in any case.
function text(bytes, at, room, value) {
  const length = Math.min(room, value.length);
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    bytes[at + i] = code < 0x20 || code > 0x7e ? 0x3f : code;
  }
  return length;
}

module.exports = { get32, get64, increment, set32, set64, text, view };
