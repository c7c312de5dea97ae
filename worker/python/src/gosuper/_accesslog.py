"""Writes the lines of the access log: one for each request that is over, to a pipe of the master's."""

from __future__ import annotations

import json
import os
import re
import time
from typing import NamedTuple

OK, TIMEOUT, DRAIN, CLIENT_GONE, PANIC = "ok", "timeout", "drain", "client_gone", "panic"
"""Why a request ended."""

# How much of what the client sent gets into a line, in bytes as written. With all the rest this is less than the 4096
# bytes that a line may have, so that the pipe takes it whole or not at all.
_REMOTE, _METHOD, _TARGET, _PROTO, _REFERER, _AGENT, _ID = 64, 32, 2048, 16, 512, 512, 128

_MAPPED = "::ffff:"
"""What is before an address of IPv4, on a socket that takes both."""

_ODD = re.compile(rb"[^ !#-\[\]-~]")


class Entry(NamedTuple):
    """What the access log says about one request. What is empty is not known; times are nanoseconds."""

    remote: str
    method: str
    target: bytes
    proto: str
    status: int
    size: int
    """Of the body sent, in bytes."""
    referer: bytes
    agent: bytes
    request_id: bytes
    duration: int
    first_byte: int
    """From the beginning to the first byte of the final response, -1 if there was none."""
    ended: str


class AccessLog:
    """The log of one worker. A line that does not fit into the pipe is dropped: no request waits for the log."""

    def __init__(self, fd: int, as_json: bool, worker: int) -> None:
        if os.get_blocking(fd):
            raise ValueError("the descriptor of the access log blocks, and so is not the master's")
        self._fd = fd
        self._json = as_json
        self._worker = worker
        self._second = 0
        self._clock = ""

    def write(self, entry: Entry) -> bool:
        """Write one line, and report whether it went out whole."""
        now = time.time()
        line = self._format_json(entry, now) if self._json else self._format(entry, now)
        try:
            return os.write(self._fd, line) == len(line)
        except OSError:
            return False

    def _format(self, e: Entry, now: float) -> bytes:
        if int(now) != self._second:
            self._second = int(now)
            self._clock = _local(now)
        first = _seconds(e.first_byte) if e.first_byte >= 0 else "-"
        return b'%b - - [%b] "%b %b %b" %d %d "%b" "%b" %b %b %d "%b" %b\n' % (
            _quote(e.remote.removeprefix(_MAPPED).encode(), _REMOTE),
            self._clock.encode(),
            _quote(e.method.encode(), _METHOD),
            _quote(e.target, _TARGET),
            _quote(e.proto.encode(), _PROTO),
            e.status,
            e.size,
            _quote(e.referer, _REFERER),
            _quote(e.agent, _AGENT),
            _seconds(e.duration).encode(),
            first.encode(),
            self._worker,
            _quote(e.request_id, _ID),
            e.ended.encode(),
        )

    def _format_json(self, e: Entry, now: float) -> bytes:
        if int(now) != self._second:
            self._second = int(now)
            self._clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        first = _seconds(e.first_byte) if e.first_byte >= 0 else "null"
        remote = e.remote.removeprefix(_MAPPED)
        return (
            f'{{"time":"{self._clock}.{int(now * 1000) % 1000:03d}Z","remote":"{_escape(remote.encode(), _REMOTE)}"'
            f',"method":"{_escape(e.method.encode(), _METHOD)}","target":"{_escape(e.target, _TARGET)}"'
            f',"proto":"{_escape(e.proto.encode(), _PROTO)}","status":{e.status},"bytes":{e.size}'
            f',"referer":"{_escape(e.referer, _REFERER)}","user_agent":"{_escape(e.agent, _AGENT)}"'
            f',"duration":{_seconds(e.duration)},"first_byte":{first},"worker":{self._worker}'
            f',"request_id":"{_escape(e.request_id, _ID)}","ended":"{e.ended}"}}\n'
        ).encode()


def _local(now: float) -> str:
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]  # whatever the locale
    t = time.localtime(now)
    return time.strftime(f"%d/{months[t.tm_mon - 1]}/%Y:%H:%M:%S %z", t)


def _seconds(duration: int) -> str:
    seconds, micros = divmod(max(0, duration) // 1000, 1_000_000)
    return f"{seconds}.{micros:06d}"


def _quote(text: bytes, limit: int) -> bytes:
    """A text that can end neither its field nor its line: what is not plain ASCII becomes \\xhh."""
    if not text:
        return b"-"
    if len(text) <= limit and _ODD.search(text) is None:
        return text
    out = bytearray()
    for c in text[:limit]:
        part = b"\\x%02x" % c if _ODD.match(bytes((c,))) else bytes((c,))
        if len(out) + len(part) > limit:
            break
        out += part
    return bytes(out)


def _escape(text: bytes, limit: int) -> str:
    """The inside of a JSON string, of at most so many bytes."""
    if len(text) <= limit and _ODD.search(text) is None:
        return text.decode("ascii")
    out, size = [], 0
    for c in text[: 4 * limit].decode(errors="replace"):
        control = c < " " or "\x7f" <= c < "\xa0" or c in "\u2028\u2029"
        part = f"\\u{ord(c):04x}" if control else json.dumps(c, ensure_ascii=False)[1:-1]
        size += len(part.encode())
        if size > limit:
            break
        out.append(part)
    return "".join(out)
