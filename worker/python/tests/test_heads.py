"""Answers whose head was written before, and whose parts are chunks, are byte for byte what uvicorn writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from protocols import DATE, ask, ours, theirs

from gosuper import _accesslog
from gosuper._deadlines import STREAMING, WAITING

LENGTH = (b"content-length", b"5")
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def answering(status: int, headers: Any, *parts: bytes | bytearray | memoryview) -> Any:
    """An application that answers so, with headers of which each answer has its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given = headers() if callable(headers) else headers
        await send({"type": "http.response.start", "status": status, "headers": given})
        for i, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": i + 1 < len(parts)})

    return app


@pytest.mark.parametrize(
    ("app", "request_"),
    [
        (answering(200, [LENGTH, (b"x-a", b"1"), (b"X-A", b"2")], b"hello"), GET),
        (answering(200, [(b"content-type", b"text/plain")], b"hel", b"lo"), GET),
        (answering(200, [], b"a", b"", memoryview(b"bc"), bytearray(200), b""), GET),
        (answering(200, [], b"hel", b"lo"), GET.replace(b"GET", b"HEAD")),
        (answering(200, [], b"hel", b"lo"), GET.replace(b"1.1", b"1.0")),
        (answering(200, [(b"content-length", b"6")], b"hel", b"lo", b"!"), GET),
        (answering(200, [LENGTH], b"hel", b"lo", b"too long", b""), GET),
        (answering(200, [(b"x-a", b"1\n2")], b"hel", b"lo"), GET),
        (answering(404, [], b""), GET),
        (answering(204, [(b"x-a", b"1")], b""), GET),
        (answering(200, [LENGTH], b"hello"), GET.replace(b"GET", b"HEAD")),
        (answering(200, [LENGTH], b"hello"), GET.replace(b"1.1", b"1.0")),
        (answering(200, [LENGTH, (b"connection", b"close")], b"hello"), GET),
        (answering(200, [(b"transfer-encoding", b"chunked")], b"hello"), GET),
        (answering(200, [[*LENGTH]], b"hello"), GET),
        (answering(200, lambda: iter([LENGTH]), b"hello"), GET),
        (answering(200, [LENGTH], b"too long"), GET),
        (answering(200, [LENGTH], b"no"), GET),
        (answering(200, [(b"x-a", b"1\n2")], b"hello"), GET),
    ],
)
def test_as_uvicorn_writes_them(app: Any, request_: bytes) -> None:
    async def run() -> None:
        for _ in range(2):  # connections that share what is known, as far as they stay open
            uvicorn, gosuper = theirs(app), ours(app)
            for _ in range(3):
                if not uvicorn.transport.closed:
                    assert await ask(gosuper, request_) == await ask(uvicorn, request_)
                    assert gosuper.transport.closed == uvicorn.transport.closed

    asyncio.run(run())


def test_a_chunk_is_written_in_its_turn() -> None:
    """None overtakes what waits for the client, or follows the last one."""

    async def run(connection: Any) -> bytes:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def part(body: bytes, more: bool = True) -> None:
                await send({"type": "http.response.body", "body": body, "more_body": more})

            await send({"type": "http.response.start", "status": 200, "headers": []})
            await part(b"first")
            connection.pause_writing()
            waiting = asyncio.ensure_future(part(b"waits"))
            await asyncio.sleep(0)
            assert not waiting.done()
            connection.resume_writing()
            await waiting
            await part(b"last", more=False)
            with pytest.raises(RuntimeError, match="after response already completed"):
                await part(b"late")

        apps.append(app)
        return await ask(connection, GET)

    apps: list[Any] = []

    async def either(scope: Any, receive: Any, send: Any) -> None:
        await apps.pop()(scope, receive, send)

    async def both() -> None:
        answers = [await run(connect(either)) for connect in (theirs, ours)]
        assert answers[0] == answers[1]
        assert answers[0].endswith(b"5\r\nfirst\r\n5\r\nwaits\r\n4\r\nlast\r\n0\r\n\r\n")

    asyncio.run(both())


def test_another_answer_is_another_head() -> None:
    answers = iter([(200, b"hello"), (200, b"hello"), (404, b"hello"), (404, b"hell"), (200, b"hello")])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        status, body = next(answers)
        await answering(status, [(b"content-length", b"%d" % len(body))], body)(scope, receive, send)

    async def run() -> Iterable[tuple[bytes, bytes]]:
        connection = ours(app)
        got = [await ask(connection, GET) for _ in range(4)]
        connection.server_state.default_headers[:] = [(b"date", b"later")]
        connection.ledger.heads.forget()
        return [(answer.split(b" ")[1], answer) for answer in [*got, await ask(connection, GET)]]

    statuses, answers_ = zip(*asyncio.run(run()), strict=True)
    assert statuses == (b"200", b"200", b"404", b"404", b"200")
    assert answers_[0] == answers_[1]
    assert answers_[3].endswith(b"content-length: 4\r\n\r\nhell")
    assert DATE[1] in answers_[3]
    assert b"date: later\r\n" in answers_[4]
    assert DATE[1] not in answers_[4]


def test_a_head_is_written_once() -> None:
    async def run() -> list[bool]:
        connection = ours(answering(200, [LENGTH], b"hello"))
        known = []
        for _ in range(3):
            headers = connection.server_state.default_headers
            await ask(connection, GET)
            headers[:] = [(b"date", b"later")]  # which nobody looks at any more
            known.append(DATE[1] in b"".join(connection.transport.written))
        return known

    assert asyncio.run(run()) == [True, True, True]


@pytest.mark.parametrize(
    ("app", "request_", "writes"),
    [
        (answering(200, [LENGTH], b"hello"), GET, 1),
        (answering(200, [], b"hello"), GET, 1),
        (answering(200, [], b"hel", b"lo", b""), GET, 3),
        (answering(200, [LENGTH], b"hello"), GET.replace(b"1.1", b"1.0"), 1),
        (answering(200, [(b"content-length", b"100000")], b"x" * 100000), GET, 2),
    ],
)
def test_a_head_goes_out_with_what_follows(app: Any, request_: bytes, writes: int) -> None:
    """Whether it is known or not."""

    async def run() -> None:
        connection = ours(app)
        for _ in range(3):
            if not connection.transport.closed:
                await ask(connection, request_)
                assert len(connection.transport.written) == writes

    asyncio.run(run())


def test_a_head_waits_for_nothing_else() -> None:
    """What follows later, or never, does not keep it."""

    async def run() -> None:
        asked = asyncio.Event()
        go_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [LENGTH]})
            asked.set()
            await go_on.wait()
            await send({"type": "http.response.body", "body": b"hello"})

        connection = ours(app)
        for _ in range(2):
            connection.transport.written.clear()
            answer = asyncio.ensure_future(ask(connection, GET))
            await asked.wait()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(connection.transport.written) == 1
            go_on.set()
            assert (await answer).endswith(b"\r\n\r\nhello")
            assert len(connection.transport.written) == 2
            asked.clear()
            go_on.clear()

    asyncio.run(run())


@pytest.mark.parametrize("fails", [True, False])
def test_a_head_is_written_before_its_connection_ends(fails: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [LENGTH]})
        if fails:
            raise LookupError

    async def run() -> None:
        uvicorn, gosuper = theirs(app), ours(app)
        assert await ask(gosuper, GET) == await ask(uvicorn, GET)
        assert uvicorn.transport.closed
        assert gosuper.transport.closed

    asyncio.run(run())


@pytest.mark.parametrize("later", [False, True])
def test_a_request_is_ended_before_its_head_is_written(later: bool) -> None:
    """Then nothing of its answer was sent, or will be."""
    connection: Any = None
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [LENGTH]})
        if later:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        request = connection.running
        assert connection.ledger.end(request, 504, _accesslog.TIMEOUT)  # as the guard does while this blocks
        seen.append((request.phase, request.status, bool(request.first)))
        await send({"type": "http.response.body", "body": b"hello"})
        connection.connection_lost(None)

    async def run() -> None:
        nonlocal connection
        connection = ours(app)
        await ask(connection, GET)
        assert len(connection.transport.written) == later

    asyncio.run(run())
    assert seen == [(STREAMING, 200, True) if later else (WAITING, 504, False)]
