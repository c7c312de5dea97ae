'use strict';
// What is done once, at the end of a turn of the event loop, however often that turn asks for it.

const due = new Set();

function later(work) {
  if (due.size === 0) setImmediate(run);
  due.add(work);
}

function run() {
  const all = [...due];
  due.clear();
  for (const work of all) work();
}

module.exports = { later };
