'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const { test } = require('node:test');
const { AccessLog } = require('../lib/accesslog.cjs');

const AT = new Date(2026, 0, 2, 15, 4, 5, 67);
const ENTRY = {
  remote: '192.0.2.1',
  method: 'GET',
  target: '/a?b=c',
  proto: 'HTTP/1.1',
  status: 200,
  bytes: 12,
  referer: 'https://example.com/',
  agent: 'curl/8',
  id: '4bf92f35',
  duration: 1234567e3,
  firstByte: 1500,
  ended: 'ok',
};
const bytes = (text) => Buffer.from(text).toString('latin1');
const open = (format) => new AccessLog(fs.openSync('/dev/null', fs.constants.O_WRONLY | fs.constants.O_NONBLOCK), format, 7);

test('the lines are those of every language', () => {
  const offset = -AT.getTimezoneOffset();
  const two = (n) => String(n).padStart(2, '0');
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const clf = `02/Jan/2026:15:04:05 ${zone}`;
  const utc = AT.toISOString();
  const lines = (change) =>
    ['combined', 'json'].map((format) => open(format).format({ ...ENTRY, ...change }, AT.getTime()).slice(0, -1));

  assert.deepEqual(lines({}), [
    `192.0.2.1 - - [${clf}] "GET /a?b=c HTTP/1.1" 200 12 "https://example.com/" "curl/8" 1.234567 0.000001 7 "4bf92f35" ok`,
    `{"time":"${utc}","remote":"192.0.2.1","method":"GET","target":"/a?b=c","proto":"HTTP/1.1","status":200,"bytes":12,` +
      '"referer":"https://example.com/","user_agent":"curl/8","duration":1.234567,"first_byte":0.000001,"worker":7,' +
      '"request_id":"4bf92f35","ended":"ok"}',
  ]);
  assert.deepEqual(lines({ remote: '::ffff:192.0.2.1' }), lines({}));
  const nothing = { remote: '', referer: '', agent: '', id: '', status: 0, bytes: 0, duration: 0, firstByte: -1 };
  assert.deepEqual(lines({ ...nothing, method: 'POST', target: '/', proto: 'HTTP/1.0', ended: 'client_gone' }), [
    `- - - [${clf}] "POST / HTTP/1.0" 0 0 "-" "-" 0.000000 - 7 "-" client_gone`,
    `{"time":"${utc}","remote":"","method":"POST","target":"/","proto":"HTTP/1.0","status":0,"bytes":0,"referer":"",` +
      '"user_agent":"","duration":0.000000,"first_byte":null,"worker":7,"request_id":"","ended":"client_gone"}',
  ]);
  const odd = { target: bytes('/\u00e9\x00\x7f'), agent: 'a" \\b\n::1 - -\x1b[31m', referer: `\xff${bytes('\u0085\u2028')}` };
  assert.deepEqual(lines(odd), [
    `192.0.2.1 - - [${clf}] "GET /\\xc3\\xa9\\x00\\x7f HTTP/1.1" 200 12 "\\xff\\xc2\\x85\\xe2\\x80\\xa8" ` +
      '"a\\x22 \\x5cb\\x0a::1 - -\\x1b[31m" 1.234567 0.000001 7 "4bf92f35" ok',
    `{"time":"${utc}","remote":"192.0.2.1","method":"GET","target":"/\u00e9\\u0000\\u007f","proto":"HTTP/1.1","status":200,` +
      '"bytes":12,"referer":"\ufffd\\u0085\\u2028","user_agent":"a\\" \\\\b\\u000a::1 - -\\u001b[31m","duration":1.234567,' +
      '"first_byte":0.000001,"worker":7,"request_id":"4bf92f35","ended":"ok"}',
  ]);
});

test('a line has its 4096 bytes at most, whatever the client sends', () => {
  for (const piece of ['"', '\n', '\xff', bytes('\u00e9'), 'plain ', '\u0000']) {
    const long = piece.repeat(5000);
    const all = { remote: long, method: long, target: long, proto: long, referer: long, agent: long, id: long };
    for (const format of ['combined', 'json']) {
      const line = open(format).format({ ...ENTRY, ...all }, AT.getTime());
      assert.ok(Buffer.byteLength(line) <= 4096, `${Buffer.byteLength(line)} bytes`);
      assert.equal(line.indexOf('\n'), line.length - 1);
      if (format === 'json') JSON.parse(line);
    }
  }
});

test('a descriptor that blocks is refused', () => {
  assert.throws(() => new AccessLog(fs.openSync('/dev/null', 'w'), 'json', 7), /blocks/);
});
