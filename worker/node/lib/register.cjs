'use strict';
// For a program that calls listen itself: node --import gosuper/register app.js. The first of its servers of HTTP that
// listens gets the inherited sockets, whatever port it asks for; without a master nothing is changed.

const http = require('node:http');
const net = require('node:net');

// Set until the package has read it, and so only here: no process and no thread below this one is the worker.
const supervised = process.env.LISTEN_PID !== undefined;
const gosuper = require('./index.cjs');
const { FORKED, clustered } = require('./environ.cjs');
const { log } = require('./ledger.cjs');

const plain = net.Server.prototype.listen;
const elsewhere = Symbol('a socket of the program or any free port');
let served; // the server that has the sockets
let asked; // the port or path that it was to have

if (process.env.GOSUPER_WORKER_ID && clustered() === 1) log(FORKED); // the first says so, who may serve another port

if (supervised) {
  net.Server.prototype.listen = function listen(first, ...rest) {
    const address = where(first);
    if (address === elsewhere || !speaksHTTP(this) || (served && !covers(address))) return plain.call(this, first, ...rest);
    const callback = [first, ...rest].findLast((one) => typeof one === 'function');
    if (callback) this.once('listening', callback);
    if (served === undefined) {
      served = this;
      asked = address;
      yieldToDrain(this);
      gosuper.listen(this); // whose failure is not the program's to handle: it ends the worker
    } else {
      process.nextTick(() => this.emit('listening'));
    }
    return this;
  };
}

// where is the port or path that listen is called with, undefined if there is none.
function where(first) {
  if (first === null || typeof first === 'function') return undefined;
  const { fd, handle, _handle, port, path } = typeof first === 'object' ? first : { port: first };
  const address = port ?? path;
  return (fd ?? handle ?? _handle) !== undefined || Number(address) === 0 ? elsewhere : address;
}

function speaksHTTP(server) {
  return server instanceof http.Server || server.listenerCount('request') > 0;
}

// covers is whether a further server wants what is served already: Fastify makes one for each address of localhost, and
// takes the port from the first.
function covers(address) {
  return address === undefined || String(address) === String(asked) || Number(address) === served.address()?.port;
}

// yieldToDrain keeps the program's own handler of the stop signal from closing connections: the drain closes the server
// when the last one has ended. That handler may come before the one that begins the drain.
function yieldToDrain(server) {
  const { close, closeIdleConnections } = server;
  server.close = function (callback) {
    setImmediate(() => {
      if (!gosuper.draining.aborted) close.call(this, callback);
      else if (callback) this.once('close', callback);
    });
    return this;
  };
  if (closeIdleConnections === undefined) return; // http2
  server.closeIdleConnections = function () {
    setImmediate(() => gosuper.draining.aborted || closeIdleConnections.call(this));
  };
}
