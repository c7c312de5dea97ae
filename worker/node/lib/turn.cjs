'use strict';
// What is done once, at the end of a turn of the event loop, that has asked for it.

let due = [];

function later(work) {
  if (due.length === 0) setImmediate(run);
  due.push(work);
}

function run() {
  const all = due;
  due = [];
  for (const work of all) work();
}

module.exports = { later };
