'use strict';
// Writes the lines of the access log: one for each request that is over, to a pipe of the master's.

const fs = require('node:fs');

const OK = 'ok';
const TIMEOUT = 'timeout';
const DRAIN = 'drain';
const CLIENT_GONE = 'client_gone';

// How much of what the client sent gets into a line, in bytes as written. With all the rest this is less than the 4096
// bytes that a line may have, so that the pipe takes it whole or not at all.
const ROOM = { remote: 64, method: 32, target: 2048, proto: 16, referer: 512, agent: 512, id: 128 };
const MAPPED = '::ffff:'; // before an address of IPv4, on a socket that takes both
const O_NONBLOCK = 0o4000;
const ODD = /[^ !#-[\]-~]/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

class AccessLog {
  #fd;
  #json;
  #worker;
  #second = 0;
  #clock = '';

  constructor(fd, format, worker) {
    const flags = /^flags:\s*0([0-7]+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
    if (!(Number.parseInt(flags?.[1], 8) & O_NONBLOCK)) {
      throw new Error('the descriptor of the access log blocks, and so is not the master\'s');
    }
    this.#fd = fd;
    this.#json = format === 'json';
    this.#worker = worker;
  }

  // write writes the line of an entry, whose times are nanoseconds, and reports whether it went out whole: a line that
  // does not fit into the pipe is dropped, since no request waits for the log.
  write(entry) {
    const line = this.format(entry, Date.now());
    try {
      return fs.writeSync(this.#fd, line) === Buffer.byteLength(line);
    } catch {
      return false;
    }
  }

  // format is the line of an entry at a time, in milliseconds since 1970.
  format(e, at) {
    const remote = e.remote.startsWith(MAPPED) ? e.remote.slice(MAPPED.length) : e.remote;
    const second = Math.floor(at / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#clock = this.#json ? new Date(at).toISOString().slice(0, 19) : local(new Date(at));
    }
    if (this.#json) {
      const millis = String(at % 1000).padStart(3, '0');
      return (
        `{"time":"${this.#clock}.${millis}Z","remote":"${escape(remote, ROOM.remote)}"` +
        `,"method":"${escape(e.method, ROOM.method)}","target":"${escape(e.target, ROOM.target)}"` +
        `,"proto":"${escape(e.proto, ROOM.proto)}","status":${e.status},"bytes":${e.bytes}` +
        `,"referer":"${escape(e.referer, ROOM.referer)}","user_agent":"${escape(e.agent, ROOM.agent)}"` +
        `,"duration":${seconds(e.duration)},"first_byte":${e.firstByte < 0 ? 'null' : seconds(e.firstByte)}` +
        `,"worker":${this.#worker},"request_id":"${escape(e.id, ROOM.id)}","ended":"${e.ended}"}\n`
      );
    }
    return (
      `${quote(remote, ROOM.remote)} - - [${this.#clock}] "${quote(e.method, ROOM.method)} ` +
      `${quote(e.target, ROOM.target)} ${quote(e.proto, ROOM.proto)}" ${e.status} ${e.bytes} ` +
      `"${quote(e.referer, ROOM.referer)}" "${quote(e.agent, ROOM.agent)}" ${seconds(e.duration)} ` +
      `${e.firstByte < 0 ? '-' : seconds(e.firstByte)} ${this.#worker} "${quote(e.id, ROOM.id)}" ${e.ended}\n`
    );
  }
}

function local(t) {
  const two = (n) => String(n).padStart(2, '0');
  const offset = -t.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${two(t.getDate())}/${MONTHS[t.getMonth()]}/${t.getFullYear()}`;
  return `${day}:${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())} ${zone}`;
}

function seconds(duration) {
  const micros = Math.max(0, Math.floor(duration / 1000));
  return `${Math.floor(micros / 1e6)}.${String(micros % 1e6).padStart(6, '0')}`;
}

// quote is a text that can end neither its field nor its line: what is not plain ASCII becomes \xhh. The texts are those
// of node:http, each of whose characters is a byte.
function quote(text, room) {
  if (!text) return '-';
  if (text.length <= room && !ODD.test(text)) return text;
  let out = '';
  for (const c of Buffer.from(text.slice(0, room), 'latin1')) {
    const plain = String.fromCharCode(c);
    const part = ODD.test(plain) ? `\\x${c.toString(16).padStart(2, '0')}` : plain;
    if (out.length + part.length > room) break;
    out += part;
  }
  return out;
}

// escape is the inside of a JSON string, of at most so many bytes.
function escape(text, room) {
  if (text.length <= room && !ODD.test(text)) return text;
  let out = '';
  let size = 0;
  for (const c of Buffer.from(text.slice(0, 4 * room), 'latin1').toString('utf8')) {
    const hidden = c < ' ' || (c >= '\x7f' && c < '\xa0') || c === '\u2028' || c === '\u2029';
    const part = hidden ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : JSON.stringify(c).slice(1, -1);
    size += Buffer.byteLength(part);
    if (size > room) break;
    out += part;
  }
  return out;
}

module.exports = { AccessLog, OK, TIMEOUT, DRAIN, CLIENT_GONE };
