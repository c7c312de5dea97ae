'use strict';
// What a client is told in the place of an application.

const RETRY_AFTER = '5'; // seconds
const TEXT = { 503: 'Service Unavailable', 504: 'Gateway Timeout' };
// What an application may still say of an answer that it does not give any more.
const SAID = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'writeHead', 'flushHeaders', 'addTrailers'];


// raw is an answer of HTTP/1.1 as it is sent, which ends its connection.
function raw(status) {
  const body = `${TEXT[status]}\n`;
  return (
    `HTTP/1.1 ${status} ${TEXT[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
    `Content-Length: ${body.length}\r\nRetry-After: ${RETRY_AFTER}\r\nConnection: close\r\n\r\n${body}`
  );
}

module.exports = { RETRY_AFTER, SAID, TEXT, raw };
