'use strict';
// The bench's agent for Node: the paths and answers of app.py, under gosuper, behind its front, or as node:cluster and
// pm2 start it.

const http = require('node:http');

const HEALTH = '{"status":"ok"}\n';
const UNITS = { ms: 1, s: 1000, m: 60_000 };

function milliseconds(text) {
  const [, number, unit] = /^([0-9.]+)(ms|s|m)$/.exec(text);
  return Number(number) * UNITS[unit];
}

function answer(response, body = 'done\n') {
  response.setHeader('Content-Length', body.length);
  response.end(body);
}

function stream(response, tokens, delay) {
  response.flushHeaders();
  const timer = setInterval(() => {
    response.write('event: token\ndata: {}\n\n');
    if (--tokens > 0) return;
    clearInterval(timer);
    response.end();
  }, delay);
  response.once('close', () => clearInterval(timer));
}

const server = http.createServer((request, response) => {
  response.setHeader('X-Worker-Pid', process.pid);
  response.setHeader('Content-Type', 'application/json');
  const [path, query] = request.url.split('?', 2);
  if (path === '/health') {
    answer(response, HEALTH);
  } else if (path === '/agent') {
    request.resume().once('end', () => answer(response));
  } else {
    const parameters = new URLSearchParams(query);
    const d = milliseconds(parameters.get('d') ?? parameters.get('delay'));
    if (path === '/agent/stream') {
      stream(response, Number(parameters.get('tokens')), d);
    } else if (path === '/debug/block') {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, d);
      answer(response);
    } else {
      setTimeout(() => answer(response), d);
    }
  }
});

const { GOSUPER_WORKER_ID, PORT } = process.env;
if (GOSUPER_WORKER_ID && !PORT) {
  require('gosuper').listen(server);
} else {
  // The end that guides recommend.
  const finish = () => server.close(() => process.exit(0));
  process.on('SIGTERM', finish).on('SIGINT', finish);
  server.listen(PORT ? { port: Number(PORT), host: '127.0.0.1' } : { fd: 3 }, () => {
    process.stderr.write('agent ready\n');
    process.send?.('ready'); // to pm2
  });
}
