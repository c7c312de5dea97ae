'use strict';
// Words of 64 bits in memory that is shared with others, as numbers.

const HALF = 2 ** 32;

function set64(bytes, at, value) {
  bytes.writeUInt32LE(value % HALF >>> 0, at);
  bytes.writeUInt32LE(Math.floor(value / HALF), at + 4);
}

function get64(bytes, at) {
  return bytes.readUInt32LE(at + 4) * HALF + bytes.readUInt32LE(at);
}

module.exports = { get64, set64 };
