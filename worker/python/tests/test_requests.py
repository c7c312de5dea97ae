"""Requests on a connection without a network."""

from __future__ import annotations

import asyncio
import enum
import gc
import json
import os
import threading
import weakref
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import pytest
from protocols import ask, connecting, ours, theirs

from gosuper import _accesslog, _layout
from gosuper._accesslog import AccessLog
from gosuper._board import texts
from gosuper._connection import TaskStarter

pytestmark = pytest.mark.usefixtures("stores")

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
ENOUGH = 1000


async def app(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
    await asyncio.sleep(0)  # work after the answer


@pytest.mark.parametrize("number", [1, 2, 5])
def test_pipelined(number: int) -> None:
    """Requests that come before the answer to the last one are answered in turn, and counted one by one."""

    async def run() -> None:
        uvicorn, gosuper = theirs(app), ours(app)
        for connection in (uvicorn, gosuper):
            connection.data_received(number * GET)
            for _ in range(ENOUGH):
                await asyncio.sleep(0)
        assert b"".join(gosuper.transport.written) == b"".join(uvicorn.transport.written)
        assert b"".join(gosuper.transport.written).count(b"hello") == number
        slots = gosuper.ledger.slots
        assert (slots.started, slots.in_flight(), gosuper.ledger.gate.busy) == (number, 0, 0)
        assert not gosuper.tasks
        assert not gosuper.ledger.deadlines.running
        assert gosuper.running is None

    asyncio.run(run())


def test_a_lost_connection_is_freed() -> None:
    """At once, as uvicorn's are: nothing is left for the garbage collector."""

    async def run() -> None:
        for connect in (theirs, ours):
            connection = connect(app)
            config = connection.config
            for _ in range(2):
                await ask(connection, GET)
            lost = weakref.ref(connection), weakref.ref(connection.cycle)
            connection.connection_lost(None)
            del connection
            await asyncio.sleep(0)
            assert [reference() for reference in lost] == [None, None], config

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("status", "then", "ending"),
    [(500, "raises", "panic"), (500, "returns", "ok"), (500, "goes on", "ok"), (404, "raises", "ok")],
)
def test_an_exception_that_was_answered(status: int, then: str, ending: str) -> None:
    """A framework answers with 500 what it raises again at once, which is no answer that was meant."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        if then == "goes on":
            await asyncio.sleep(0.01)
        if then != "returns":
            raise ValueError(then)

    async def run() -> None:
        for request in (GET, GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), GET + GET):
            connection = ours(app)
            entries: list[Any] = []
            connection.ledger._log = SimpleNamespace(write=lambda entry, entries=entries: not entries.append(entry))
            await ask(connection, request)
            assert {(entry.status, entry.ended) for entry in entries} == {(status, ending)}
            assert len(entries) == request.count(b"GET")
            assert connection.ledger.gate.busy == 0
            assert connection.running is None

    asyncio.run(run())


@pytest.mark.parametrize(("path", "answered"), [("/waits", b"504 Gateway Timeout"), ("/streams", b"hello")])
def test_an_ended_request_is_logged_with_what_was_sent(path: str, answered: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/streams":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
        over.set()
        await asyncio.Event().wait()

    over = asyncio.Event()
    entries: list[Any] = []

    async def run() -> None:
        connection = ours(app)
        transport, ledger = connection.transport, connection.ledger
        transport.abort = transport.close
        ledger._log = SimpleNamespace(write=lambda entry, entries=entries: not entries.append(entry))
        connection.data_received(GET.replace(b"/", path.encode(), 1))
        await over.wait()
        ledger.terminate(connection.running, 504, _accesslog.TIMEOUT)
        while not transport.closed:
            await asyncio.sleep(0)
        connection.connection_lost(None)
        while connection.tasks:
            await asyncio.sleep(0)
        body = b"".join(transport.written)
        assert answered in body
        said = body.partition(b"\r\n\r\n")[2] if path == "/waits" else b"hello"
        assert [(e.status, e.size, e.ended) for e in entries] == [(504 if path == "/waits" else 200, len(said), "timeout")]
        assert entries[0].first_byte > 0

    asyncio.run(run())


class Code(int, enum.Enum):
    """Numbers that write themselves by their names."""

    OK = 200


class Whole:
    """A number of a type that is not int, as those of numpy are."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return other == self.number

    def __hash__(self) -> int:
        return hash(self.number)


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize(
    ("status", "logged", "answered"),
    [
        (Code.OK, 200, True),
        (HTTPStatus.OK, 200, True),
        (200.0, 200, "httptools"),
        (Whole(200), 200, "httptools"),
        (200.5, 0, False),
        (True, 1, False),
        (99, 99, False),
        (1000, 0, False),
        (-200, 0, False),
        (10**99, 0, False),
        ("200", 0, False),
        (None, 0, False),
        ([200], 0, False),
    ],
)
def test_an_answer_with_any_status(http: str, status: Any, logged: int, answered: bool | str) -> None:
    """It is counted once and logged in a line of JSON, and leaves nothing behind, whatever the server makes of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    counted = bool(answered)  # as what the application said, also where the server refuses its type
    answered = answered is True or answered == http

    async def run() -> None:
        connection = ours(app, http=http)
        ledger = connection.ledger
        read, write = os.pipe()
        os.set_blocking(write, False)
        ledger._log = AccessLog(write, True, 1)
        assert (b"hello" in await ask(connection, GET)) == answered != connection.transport.closed
        os.close(write)
        with open(read) as lines:
            (line,) = map(json.loads, lines)
        assert (line["status"], line["ended"]) == (logged, "ok" if answered else "panic")
        assert type(line["status"]) is int
        assert (ledger.slots.started, ledger.slots.in_flight(), ledger.gate.busy) == (1, 0, 0)
        assert list(ledger.board._words[24:30]) == [1, *(int(counted and of == 2) for of in range(1, 6))]
        assert not ledger.deadlines.running

    asyncio.run(run())


@pytest.mark.parametrize(("http", "hooked"), [("httptools", True), ("httptools", False), ("h11", False), ("zttp", False)])
def test_the_task_of_a_request_is_known(http: str, hooked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known early where the server starts it by a method that is known, and else all the same."""
    if not hooked:
        monkeypatch.setattr("uvicorn.__version__", "0.54.1")
    seen: list[tuple[bool, bool]] = []

    async def run() -> None:
        async def tasks(scope: Any, receive: Any, send: Any) -> None:
            task = asyncio.current_task()
            seen.append((connection.running.task is task, connection.serving is task))
            await app(scope, receive, send)

        connection = ours(tasks, http=http)
        for _ in range(2):
            assert b"hello" in await ask(connection, GET)
        assert not connection.tasks
        assert connection.ledger.knows_heads == isinstance(connection, TaskStarter) == hooked

    asyncio.run(run())
    assert seen == [(True, hooked)] * 2


def test_a_task_that_is_run_at_once() -> None:
    """As asyncio.eager_task_factory has them run; one that is over then is not waited for."""

    async def at_once(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    async def run() -> None:
        connection = ours(at_once)

        def create_task(coroutine: Any) -> asyncio.Future[None]:
            with pytest.raises(StopIteration):
                coroutine.send(None)
            task = asyncio.get_running_loop().create_future()
            task.set_result(None)
            return task

        connection.loop.create_task = create_task
        assert b"hello" in await ask(connection, GET)
        assert (connection.ledger.slots.started, connection.ledger.slots.in_flight()) == (1, 0)

    asyncio.run(run())


@pytest.mark.usefixtures("restless")
def test_a_request_is_over_once_whoever_ends_it() -> None:
    """The event loop, or at the same time another thread, as the guard is one."""
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "headers": []}
    ends: list[str] = []

    async def send(message: Any) -> None:
        pass

    def write(entry: Any) -> bool:
        ends.append(entry.ended)
        return True

    async def run() -> None:
        _, ledger, _ = connecting(app)
        ledger._log = SimpleNamespace(write=write)  # type: ignore[assignment]
        over = threading.Event()

        def end() -> None:
            while not over.is_set():
                for request in list(ledger.deadlines.running):
                    ledger.end(request, 504, _accesslog.TIMEOUT)  # type: ignore[arg-type]

        thread = threading.Thread(target=end)
        thread.start()
        number = 0
        while number < 3000 or len(set(ends)) < 2:
            ledger.finish(ledger.begin(scope, frozenset(), send))
            number += 1
        over.set()
        thread.join()
        assert (ledger.slots.started, ledger.slots.in_flight(), ledger.gate.busy) == (number, 0, 0)
        assert (len(ends), set(ends)) == (number, {"ok", "timeout"})
        free = [ledger.slots.take(1, 0, texts(b"GET", b"/", b"")) for _ in range(_layout.SLOTS + 1)]
        assert sorted(free) == [_layout.NO_SLOT, *range(_layout.SLOTS)]

    asyncio.run(run())
