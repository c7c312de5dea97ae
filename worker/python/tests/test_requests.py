"""Requests on a connection without a network."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from protocols import ask, ours, theirs

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
        assert gosuper.transport.written == uvicorn.transport.written
        assert b"".join(gosuper.transport.written).count(b"hello") == number
        board = gosuper.ledger.board
        assert (board.started, board._finished, gosuper.ledger.gate.busy) == (number, number, 0)
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
