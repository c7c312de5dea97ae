"""The lines of the access log."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from gosuper._accesslog import AccessLog, Entry


def entry(**changes: Any) -> Entry:
    """An entry of the access log."""
    usual = Entry("192.0.2.1", "GET", b"/a?b", "HTTP/1.1", 200, 12, b"", b"curl/8", b"", 123_456, 120_000, "ok")
    return usual._replace(**changes)


def written(as_json: bool, e: Entry) -> bytes:
    """The line of an entry."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    assert AccessLog(write, as_json, 7).write(e)
    line = os.read(read, 5000)
    os.close(read)
    os.close(write)
    return line


def test_access_log() -> None:
    line = written(False, entry())
    begin, _, rest = line.partition(b"[")
    assert begin == b"192.0.2.1 - - "
    assert rest.partition(b"] ")[2] == b'"GET /a?b HTTP/1.1" 200 12 "-" "curl/8" 0.000123 0.000120 7 "-" ok\n'
    for as_json, want in ((False, b"2001:db8::1 "), (True, b'"2001:db8::1"')):
        assert want in written(as_json, entry(remote="2001:db8::1"))
        assert b"ffff" not in written(as_json, entry(remote="::ffff:192.0.2.1"))
    line = written(False, entry(target=b'/"\\\x1b\xc3\xa9', remote="", first_byte=-1, ended="client_gone"))
    assert line.startswith(b"- - - [")
    assert b'"GET /\\x22\\x5c\\x1b\\xc3\\xa9 HTTP/1.1"' in line
    assert line.endswith(b' 0.000123 - 7 "-" client_gone\n')
    line = written(
        False, entry(target=b"/" + 9000 * b"\xff", agent=9000 * b'"', referer=9000 * b"r", request_id=999 * b"\0")
    )
    assert len(line) <= 4096
    said = json.loads(written(True, entry(agent='"é\u2028\x01'.encode() + b"\xff", request_id=b"id")))
    assert said.pop("time").endswith("Z")
    assert said == {
        "remote": "192.0.2.1", "method": "GET", "target": "/a?b", "proto": "HTTP/1.1", "status": 200, "bytes": 12,
        "referer": "", "user_agent": '"é\u2028\x01\ufffd', "duration": 0.000123, "first_byte": 0.00012, "worker": 7,
        "request_id": "id", "ended": "ok",
    }  # fmt: skip
    read, write = os.pipe()
    with pytest.raises(ValueError, match="blocks"):
        AccessLog(write, False, 1)
    os.close(write)
    os.close(read)


def test_full_access_log_drops() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    log = AccessLog(write, False, 1)
    while log.write(entry()):
        pass
    assert os.read(read, 100_000).endswith(b"\n")
    os.close(read)
    os.close(write)
