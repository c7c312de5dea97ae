'use strict';
// Hears of all that a server of node:http, node:https or node:http2 does.

const http = require('node:http');
const tls = require('node:tls');
const http1 = require('./http1.cjs');

const http2 = () => require('./http2.cjs'); // which takes memory

// watch has a ledger account for the requests of a server, and a drain for its connections, which are idle for so many
// milliseconds at most. It hears of them before any listener does. Those that speak plain HTTP/1.1 get lines, if there are
// any. With a certificate connections over TCP speak TLS.
function watch(server, ledger, drain, keepalive, lines, pair) {
  if (keepalive > 0) server.keepAliveTimeout = keepalive;
  const last = (exchange) => {
    if (keepalive === 0) exchange.last();
    else if (drain.signal.aborted) drain.ends(exchange);
  };
  const secure = server.listenerCount('secureConnection') > 0;
  const { emit } = server;
  let connection; // the last one
  const layer = pair && !secure ? secured(server, pair) : undefined;
  layer?.on('secureConnection', (socket) => {
    drain.accepted(socket);
    connection = socket._parent;
    emit.call(server, 'connection', socket);
  });
  server.emit = function (event, subject, other) {
    switch (event) {
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        if (subject.httpVersionMajor === 2) {
          http2().taken(other);
          break;
        }
        if (!http1.begin(ledger, last, subject, other)) break;
        try {
          return emit.call(this, event, subject, other);
        } finally {
          http1.returned(other);
        }
      case 'connection':
        connection = subject;
        ledger.accepted(subject);
        if (layer && subject.remoteFamily) return layer.emit('connection', subject);
        if (!secure) {
          drain.accepted(subject);
          if (server instanceof http.Server) {
            lines?.open(subject);
            http1.atOnce(subject);
          }
        }
        break;
      case 'secureConnection':
        connection = subject._parent;
        drain.accepted(subject);
        break;
      case 'upgrade':
      case 'connect':
        if (subject.httpVersionMajor !== 2) http1.upgrade(ledger, subject, other);
        break;
      case 'session':
        http2().session(subject, drain, keepalive, connection);
        break;
      case 'stream':
        http2().begin(ledger, subject, other);
        break;
      case 'timeout':
        if (subject.parser && !subject._httpMessage && server.listenerCount('timeout') === 0) return http1.closeIdle(subject);
    }
    return emit.apply(this, arguments);
  };
}

// secured is a server of TLS for connections that others have accepted. Certificates and key are PEM in one text, of which
// each takes what is its own.
function secured(server, pair) {
  const protocol = typeof server.updateSettings === 'function' ? 'h2' : 'http/1.1';
  const layer = tls.createServer({ cert: pair, key: pair, ALPNProtocols: [protocol] });
  layer.on('tlsClientError', (error, socket) => socket.destroy());
  return layer;
}

module.exports = { watch };
