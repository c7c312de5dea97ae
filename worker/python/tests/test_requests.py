"""Requests on a connection without a network."""

from __future__ import annotations

import asyncio
import gc
import weakref
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
