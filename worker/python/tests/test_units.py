"""The parts, each by itself."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from uvicorn.importer import import_from_string

from gosuper import _environ, _options
from gosuper._accesslog import AccessLog, Entry
from gosuper._connection import AnyProgress, BodyProgress, Connection, HTTPConnection, WebSocketConnection
from gosuper._deadlines import NEVER, STREAMING, UPGRADED, WAITING, Deadlines, due
from gosuper._drain import Drain
from gosuper._environ import Limits, take
from gosuper._fleet import Fleet
from gosuper._gate import Gate
from gosuper._http2 import EitherConnection, HTTP2Connection
from gosuper._keepalive import LazyLoop
from gosuper._notify import Notifier
from gosuper._spread import LONGEST_YIELD, Spread, Standing
from gosuper._stream import Streams
from gosuper.wsgi import is_wsgi


def test_environment_is_read_once() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    given = {
        "LISTEN_PID": "7",
        "LISTEN_FDS": "0",
        "GOSUPER_WORKER_ID": "3",
        "GOSUPER_SLOT": "1",
        "GOSUPER_NOTIFY_FD": str(listener.fileno()),
        "GOSUPER_LIMIT_TIMEOUT_MS": "1500",
        "GOSUPER_LIMIT_REQUESTS": "nonsense",
        "OTHER": "x",
    }
    environ = dict(given)
    env = take(environ, 7)
    assert (env.supervised, env.id, env.slot, env.limits.timeout, env.limits.requests) == (True, 3, 1, 1_500_000_000, 0)
    assert not listener.get_inheritable()
    assert environ == {"GOSUPER_WORKER_ID": "3", "GOSUPER_SLOT": "1", "OTHER": "x"}
    assert not take(environ, 8).stray  # a child of the worker
    listener.close()


def test_stray_worker() -> None:
    env = take({"LISTEN_PID": str(os.getpid()), "GOSUPER_WORKER_ID": "3"}, 1)
    assert not env.supervised
    with pytest.raises(_environ.StrayWorkerError, match=rf"process {os.getpid()}\), and this process below it.*exec"):
        env.require()


class Timed:
    """A request of two seconds."""

    def __init__(self, phase: int, deadline: int = 0) -> None:
        self.progress, self.phase, self.deadline = 100, phase, deadline

    def forgive(self, progress: int) -> None:
        self.progress = progress


@pytest.mark.parametrize(
    ("silent", "late", "forgiven"),
    [(1000, 0, 0), (1000, 50, 0), (1040, 900, 900), (1100, 101, 101), (5000, 4000, 5000), (300, 4000, 300), (300, 900, 0)],
)
def test_late_alarm(monkeypatch: pytest.MonkeyPatch, silent: int, late: int, forgiven: int) -> None:
    """What is due when its alarm is late is given what that took, in milliseconds, and is ended afterwards."""

    async def run() -> None:
        now = 10_000_000_000
        monkeypatch.setattr(time, "monotonic_ns", lambda: now)
        ended: list[object] = []
        deadlines = Deadlines(Limits(timeout=1_000_000_000), ended.append, lambda: None)
        request = Timed(WAITING)
        begin = request.progress = now - silent * 1_000_000
        deadlines.running[request] = None
        deadlines.at = now - late * 1_000_000
        deadlines._fire()
        assert request.progress == begin + forgiven * 1_000_000
        assert bool(ended) == (silent - forgiven >= 1000)
        if not ended:
            deadlines.at = now = request.progress + 1_000_000_000
            deadlines._fire()
            assert ended == [request]

    asyncio.run(run())


def test_due() -> None:
    limits = Limits(timeout=10, stream=20, upgrade=0)
    assert due(Timed(WAITING), limits) == 110
    assert due(Timed(STREAMING), limits) == 120
    assert due(Timed(UPGRADED), limits) == NEVER
    assert due(Timed(UPGRADED, 115), limits) == 115


def fleet(*places: tuple[int, int, int]) -> Fleet:
    """A page on which the workers of these places have so much to do, so many connections open, and this capacity."""
    page = Fleet(bytearray(4096))
    for i, (busy, connections, capacity) in enumerate(places):
        place = page.place(i)
        place.set_busy(busy)
        place.set_open(connections)
        place.enter(i + 1, capacity)
    return page


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        ((0, 0), [(0, 0, 0)], None),  # nothing to do
        ((1, 1), [(1, 1, 0)], None),  # as busy
        ((1, 1), [(0, 1, 0)], (LONGEST_YIELD, 1)),
        ((4, 4), [(3, 4, 0)], (LONGEST_YIELD // 4, 1)),
        ((4, 4), [(3, 4, 0), (1, 4, 0)], (LONGEST_YIELD * 3 // 4, 2)),
        ((4, 4), [(0, 0, 1)], (LONGEST_YIELD, 1)),
        ((4, 4), [(1, 0, 1)], None),  # no room
        ((1, 3), [(1, 2, 0)], None),  # one connection more does not matter
        ((1, 4), [(1, 2, 0)], (LONGEST_YIELD // 2, 1)),
        ((0, 2), [(0, 0, 0)], (LONGEST_YIELD, 1)),
        ((100, 100), [(99, 100, 0)], None),  # not worth a wait
    ],
)
def test_spread(own: tuple[int, int], others: list[tuple[int, int, int]], expected: tuple[int, int] | None) -> None:
    leave = Spread(fleet((*own, 0), *others), 0).consider(Standing(*own, 0, 0))
    assert (leave and leave[:2]) == expected


def test_who_does_not_react_is_not_waited_for() -> None:
    page = fleet((2, 2, 0), (0, 0, 0))
    spread = Spread(page, 0)
    own = Standing(2, 2, 0, 0)
    assert spread.consider(own)
    for _ in range(12):  # so that the last silence is longer than this test
        spread.disregard(1)
    assert spread.consider(own) is None
    page.place(1).set_busy(0)  # a sign of life
    assert spread.consider(own)


def test_gate() -> None:
    page = Fleet(bytearray(4096))
    gate = Gate(2, page, 3, 9)
    gate.present(True)
    woken: list[int] = []
    first, second = object(), object()
    gate.admit(first)
    gate.admit(second)
    assert gate.full()
    gate.await_mark(gate.room(), lambda: woken.append(gate.busy))
    gate.begin(first)
    gate.begin(first)
    assert (gate.busy, gate.open) == (3, 2)
    gate.finish()
    assert woken == []
    gate.forget(second)
    assert woken == [1]
    o = page.occupant(3)
    assert (o.id, o.busy, o.open, o.capacity) == (9, 1, 1, 2)
    assert 0 <= gate.expire_fresh() <= 1_000_000_000
    gate.present(False)
    assert page.busy(3) == -1


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


def test_reports() -> None:
    ours, master = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    notify = Notifier(ours.detach())
    assert notify.ready()
    assert notify.status("two\nlines")
    assert notify.extend_startup(1.5)
    assert notify.recycle("leaks\nalot")
    assert notify.recycle("again")
    said = [master.recv(4096) for _ in range(4)]
    assert said == [b"READY=1", b"STATUS=two lines", b"EXTEND_TIMEOUT_USEC=1500000", b"X_GOSUPER_RECYCLE=leaks_alot"]
    assert not notify.gone()
    master.close()
    assert notify.gone()
    assert not notify.ready()
    assert not Notifier().recycle("nobody hears")


def test_streams_end_politely() -> None:
    ended: list[str] = []

    async def tokens() -> AsyncIterator[str]:
        try:
            yield "a"
            yield "b"
            await asyncio.sleep(3600)
        finally:
            ended.append("tokens")

    async def two() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def broken() -> AsyncIterator[str]:
        yield "a"
        raise KeyError("x")

    async def run() -> None:
        drain = Drain()
        stream = Streams(drain)
        assert [t async for t in stream(two(), "bye")] == ["a", "b"]
        with pytest.raises(KeyError):
            assert [t async for t in stream(broken(), "bye")]
        got = []
        async for t in stream(tokens(), "bye"):
            got.append(t)
            if t == "b":
                asyncio.get_running_loop().call_later(0.01, drain.begin)
        assert got == ["a", "b", "bye"]
        assert ended == ["tokens"]
        await drain.wait()
        assert [t async for t in stream(tokens())] == []

    asyncio.run(run())


def test_plain_streams_end_politely() -> None:
    drain = Drain()

    def tokens() -> Iterator[int]:
        yield 1
        drain.begin()
        yield 2
        yield 3

    assert list(Streams(drain)(iter([1, 2]), 9)) == [1, 2]
    assert list(Streams(drain)(tokens(), 9)) == [1, 2, 9]
    assert list(Streams(drain)(tokens())) == []
    assert drain.wait_sync(0)


def test_wsgi_is_told_from_asgi() -> None:
    async def asgi3(scope: object, receive: object, send: object) -> None: ...
    def asgi2(scope: object) -> None: ...
    def wsgi(environ: object, start_response: object) -> None: ...

    class Flask:
        def __call__(self, environ: object, start_response: object) -> None: ...

    class Starlette:
        async def __call__(self, scope: object, receive: object, send: object) -> None: ...

    apps = [asgi3, asgi2, wsgi, Flask(), Starlette(), Starlette]
    assert [is_wsgi(app) for app in apps] == [False, False, True, True, False, False]


def test_options() -> None:
    options = _options.parse(["app:app", "--header", "x:y", "--no-proxy-headers", "--ws-per-message-deflate", "false"])
    assert (options.headers, options.proxy_headers, options.ws_per_message_deflate) == ([("x", "y")], False, False)


def test_lazy_timer() -> None:
    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        lazy = LazyLoop(loop)
        fired: list[float] = []
        over = asyncio.Event()

        def fire() -> None:
            fired.append(loop.time())
            over.set()

        begin = loop.time()
        for delay in (0.05, 0.1, 0.05):  # set, cancelled, put off and brought forward
            lazy.call_later(delay, fire).cancel()
        lazy.call_later(10, fire)
        lazy.call_later(0.2, fire)
        await over.wait()
        assert loop.time() - begin >= 0.2
        over.clear()
        lazy.call_later(0.01, fire)
        await over.wait()
        lazy.call_later(0.01, fire)
        lazy.close()
        await asyncio.sleep(0.05)
        return fired

    assert len(asyncio.run(run())) == 2


def test_mixins_have_names_of_their_own() -> None:
    """What the mixins add must not be what a protocol class of uvicorn has already; what they override is listed."""
    meant = {
        "app", "connection_lost", "connection_made", "data_received", "on_body", "on_stream_closed", "pause_writing",
        "resume_writing", "send_400_response", "timeout_keep_alive_handler", "transport", "_switch",
    }  # fmt: skip
    mixins = (Connection, AnyProgress, BodyProgress, HTTPConnection, WebSocketConnection, HTTP2Connection, EitherConnection)
    ours = {
        name for mixin in mixins for name in (*vars(mixin), *inspect.get_annotations(mixin)) if not name.startswith("__")
    }
    for place in (
        "http.h11_impl:H11Protocol",
        "http.httptools_impl:HttpToolsProtocol",
        "http.zttp_impl:ZttpProtocol",
        "http.zttp_h2_impl:ZttpH2Protocol",
        "http.auto_zttp_impl:AutoZttpProtocol",
        "websockets.websockets_impl:WebSocketProtocol",
        "websockets.websockets_sansio_impl:WebSocketsSansIOProtocol",
    ):
        protocol = import_from_string("uvicorn.protocols." + place)
        for cls in protocol.__mro__:
            if cls.__module__.partition(".")[0] in ("uvicorn", "websockets"):
                theirs = set(vars(cls)) | set(re.findall(r"\bself\.(\w+)\b", inspect.getsource(cls)))
                assert ours & theirs <= meant, cls
