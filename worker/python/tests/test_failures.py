"""Failures in a row, which tell of a worker that lives on and only fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Start, ask
from protocols import ask as ask_connection
from protocols import ours

from gosuper._board import Board
from gosuper._environ import Environment, Limits
from gosuper._process import Process

pytestmark = pytest.mark.usefixtures("stores")


async def app(scope: Any, receive: Any, send: Any) -> None:
    word, status = scope["path"].removeprefix("/api").strip("/").split("/")
    if word in ("raises", "cancelled"):
        raise asyncio.CancelledError if word == "cancelled" else ValueError
    if word == "nothing":
        return
    if word == "hangs":
        await asyncio.sleep(3600)
    if word == "waits":
        while (await receive())["type"] != "http.disconnect":
            pass
    await send({"type": "http.response.start", "status": int(status), "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"h", "more_body": True})
    if word == "breaks":
        raise ValueError
    await send({"type": "http.response.body", "body": b"i"})
    if word == "handled":  # as frameworks do what they have answered
        raise ValueError


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    word, status = environ["PATH_INFO"].strip("/").split("/")
    if word == "raises":
        raise ValueError
    start_response(f"{status} whatever", [("Content-Length", "2")])
    return [b"hi"]


def row(board: Board) -> int:
    return board._failures


async def get(connection: Any, path: str) -> None:
    await ask_connection(connection, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize(
    ("path", "failures"),
    [
        ("/says/500", 2),
        ("/says/503", 2),
        ("/handled/500", 2),
        ("/raises/0", 2),
        ("/nothing/0", 2),
        ("/breaks/500", 2),
        ("/breaks/200", 1),
        ("/cancelled/0", 1),
        ("/says/404", 0),
        ("/says/200", 0),
        ("/health/500", 1),
        ("/health/200", 1),
        ("/readyz/500", 1),
        ("/live/200?full", 1),
        ("/ping/500", 2),  # only /ping itself is a probe
    ],
)
def test_what_counts(http: str, path: str, failures: int) -> None:
    async def run() -> None:
        for root in ("", "/api"):
            connection = ours(app, failures=9, http=http, root_path=root)
            await get(connection, "/says/500")
            await get(connection, path)
            assert row(connection.ledger.board) == failures

    asyncio.run(run())


def test_the_master_is_told() -> None:
    """Of each multiple of the limit, with the board that it will look at."""

    async def run() -> None:
        told: list[int] = []
        notify = SimpleNamespace(failing=lambda: told.append(connection.ledger.board._failures))
        connection: Any = ours(app, failures=2, notify=notify)
        words = connection.ledger.board._words
        for status in (500, 200, 500):
            await get(connection, f"/says/{status}")
        assert (told, row(connection.ledger.board)) == ([], 1)
        assert 0 < words[312 // 8] < words[304 // 8]
        since = words[304 // 8]
        for _ in range(4):
            await get(connection, "/says/503")
        assert (told, words[304 // 8]) == ([2, 4], since)

    asyncio.run(run())


def test_what_is_not_the_application_s_answer() -> None:
    async def run() -> None:
        connection = ours(app, failures=9)
        board = connection.ledger.board
        await get(connection, "/says/500")

        connection.stale = True
        await get(connection, "/says/200")
        assert b" 503 " in connection.transport.written[0]
        assert row(board) == 1

        hangs = asyncio.ensure_future(get(connection, "/hangs/200"))
        while connection.running is None:
            await asyncio.sleep(0)
        connection.ledger.terminate(connection.running, 504, "timeout")
        connection.connection_lost(None)  # which its task waits for
        await hangs
        assert row(board) == 1

        connection = ours(app, failures=9)
        board = connection.ledger.board
        await get(connection, "/says/500")
        waits = asyncio.ensure_future(get(connection, "/waits/500"))
        while connection.running is None:
            await asyncio.sleep(0)
        connection.connection_lost(None)
        await waits
        assert (board.slots.started, board.slots.in_flight(), row(board)) == (2, 0, 1)

    asyncio.run(run())


@pytest.mark.parametrize(("path", "failures"), [("/says/500", 2), ("/raises/0", 2), ("/says/200", 0), ("/health/500", 1)])
def test_wsgi(path: str, failures: int) -> None:
    pytest.importorskip("a2wsgi")

    async def run() -> None:
        connection = ours(wsgi, failures=9)
        await get(connection, "/says/500")
        await get(connection, path)
        assert row(connection.ledger.board) == failures

    asyncio.run(run())


def test_a_server_of_one_s_own() -> None:
    process = Process(Environment(limits=Limits(failures=3)), Board.unshared())
    told: list[int] = []
    process._failures._notify = SimpleNamespace(failing=lambda: told.append(row(process.board)))  # type: ignore[assignment]
    with process.request("GET", "/") as work:
        work.status = 500
    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error), process.request("GET", "/"):
            raise error
    with process.request("GET", "/health"):
        pass
    assert (told, row(process.board)) == ([], 2)
    with process.request("GET", "/") as work:
        work.status = 503
    assert told == [3]
    with process.request("GET", "/"):
        pass
    assert row(process.board) == 0


ONE_FAILS = """
    import gosuper
    async def app(scope, receive, send):
        if gosuper.worker.id == 1:
            raise RuntimeError("CUDA error")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
    """


@pytest.mark.parametrize("options", [(), ("--http", "h11")])
def test_who_fails_while_others_do_not_is_replaced(master: Start, options: tuple[str, ...]) -> None:
    m = master(ONE_FAILS, "workers = 2\nmax_failures = 5", "--lifespan", "off", *options)
    m.ready(2)

    def replaced(status: dict[str, Any]) -> bool:
        asyncio.run(ask(m.address()))
        return bool(status["counters"]["restarts"]["max_failures"])

    m.until(replaced)
    m.until(lambda s: all(w["id"] != 1 for w in s["workers"]))
    m.logged("worker fails while others do not, and is replaced")
