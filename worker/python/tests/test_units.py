"""The parts, each by itself."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from uvicorn.importer import import_from_string

from gosuper import _environ, _guard, _options
from gosuper._connection import (
    AnyProgress,
    BodyProgress,
    Connection,
    HTTP1Connection,
    HTTPConnection,
    TaskStarter,
    WebSocketConnection,
)
from gosuper._deadlines import NEVER, STREAMING, UPGRADED, WAITING, Deadlines, due
from gosuper._drain import Drain
from gosuper._environ import Limits, take
from gosuper._http2 import EitherConnection, HTTP2Connection
from gosuper._keepalive import LazyLoop
from gosuper._mistakes import is_factory
from gosuper._notify import Notifier
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
    [
        (1000, 0, 0),
        (1000, 50, 0),
        (1040, 900, 900),
        (1100, 101, 101),
        (5000, 4000, 5000),
        (300, 4000, 300),
        (300, 900, 300),
        (980, 480, 480),
    ],
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


def test_others_give_the_gil_back_sooner() -> None:
    before = sys.getswitchinterval()
    with _guard._hurry():
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_due() -> None:
    limits = Limits(timeout=10, stream=20, upgrade=0)
    assert due(Timed(WAITING), limits) == 110
    assert due(Timed(STREAMING), limits) == 120
    assert due(Timed(UPGRADED), limits) == NEVER
    assert due(Timed(UPGRADED, 115), limits) == 115


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


def test_factories_are_told_from_applications() -> None:
    def create() -> None: ...
    def configured(config: object = None, debug: bool = False) -> None: ...
    def needs(config: object) -> None: ...
    def wrapped(*args: object, **kwargs: object) -> None: ...
    def wsgi(environ: object, start_response: object) -> None: ...
    async def asgi(*args: object) -> None: ...

    apps = [create, configured, needs, wrapped, wsgi, asgi, dict]
    assert [is_factory(app) for app in apps] == [True, True, False, False, False, False, False]


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
        "app", "connection_lost", "connection_made", "data_received", "handle_rst_stream", "on_body",
        "on_response_complete", "on_stream_closed", "pause_writing", "resume_writing", "send_400_response",
        "tasks", "timeout_keep_alive_handler", "transport", "_start_asgi_task", "_switch",
    }  # fmt: skip
    mixins = (
        Connection, AnyProgress, BodyProgress, HTTPConnection, HTTP1Connection, WebSocketConnection, HTTP2Connection,
        EitherConnection, TaskStarter,
    )  # fmt: skip
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
