'use strict';
// What a soak asks of a program for Node, with the same paths as the Go worker of these tests. The port is an argument.
const http = require('node:http');

const milliseconds = (d) => (d.endsWith('ms') ? parseFloat(d) : parseFloat(d) * 1000);

function tokens(response, n, pause) {
  response.write('event: token\ndata: x\n\n');
  if (n > 1) setTimeout(tokens, pause, response, n - 1, pause);
  else setTimeout(() => response.end('event: done\ndata: all of it\n\n'), pause);
}

const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  response.setHeader('X-Worker-Pid', process.pid);
  if (pathname === '/nap') setTimeout(() => response.end('slept'), milliseconds(searchParams.get('d')));
  else if (pathname === '/tokens') tokens(response, Number(searchParams.get('n')), milliseconds(searchParams.get('d')));
  else request.resume().once('end', () => response.end('hello'));
});
server.listen(process.argv[2] ?? 8000);
