'use strict';
// CLOCK_MONOTONIC in nanoseconds, as a number: what a double loses of it after 104 days is less than the clock does.

const { performance } = require('node:perf_hooks');

const ORIGIN = Number(process.hrtime.bigint()) - performance.now() * 1e6;
const MS = 1e6;
const NEVER = Infinity;

const now = () => ORIGIN + performance.now() * MS;

module.exports = { now, MS, NEVER };
