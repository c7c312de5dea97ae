'use strict';
// What a client is told in the place of an application.

const RETRY_AFTER = '5'; // seconds
const TEXT = { 503: 'Service Unavailable', 504: 'Gateway Timeout' };
// What an application may still say of an answer that it does not give any more.
const SAID = ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'writeHead', 'flushHeaders', 'addTrailers'];

module.exports = { RETRY_AFTER, SAID, TEXT };
