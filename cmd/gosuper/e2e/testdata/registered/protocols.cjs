// A server of HTTP/1.1 and WebSocket or, with the argument http2, of HTTP/2, by the package itself.
const crypto = require('node:crypto');
const http = require('node:http');
const http2 = require('node:http2');
const gosuper = require('gosuper');

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function handle(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://worker');
  const number = (name) => Number(searchParams.get(name));
  if (pathname === '/sleep') return;
  if (pathname === '/nap') await pause(1000);
  response.setHeader('X-Worker-Pid', String(process.pid));
  if (pathname === '/steps') {
    for (let i = 0; i < number('n'); i++) await pause(number('ms'));
  }
  if (pathname === '/tokens') {
    response.setHeader('Content-Type', 'text/event-stream');
    for (let i = 0; i < number('n'); i++) {
      response.write(`event: token\ndata: ${i}\n\n`);
      await pause(number('ms'));
    }
    response.end('event: done\ndata: all of it\n\n');
    return;
  }
  response.end('hello from node\n');
}

const server = process.argv[2] === 'http2' ? http2.createServer(handle) : http.createServer(handle);
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  // Whole frames of short texts, masked with zeros.
  socket.on('data', (frame) => socket.write(Buffer.concat([Buffer.from([0x81, frame[1] & 0x7f]), frame.subarray(6)])));
  socket.on('end', () => socket.end());
});
gosuper.listen(server);
