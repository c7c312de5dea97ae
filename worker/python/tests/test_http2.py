"""HTTP/2 under a real master: one stream ends, its neighbours do not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest
from conftest import Start, ask

zttp = pytest.importorskip("zttp")

APP = """
    import asyncio, time
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        path = scope["path"]
        async def say(token, more):
            await send({"type": "http.response.body", "body": token, "more_body": more})
        if path == "/long":
            await asyncio.sleep(60)
        elif path == "/block":
            time.sleep(2)
        elif path == "/upload":
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        if path == "/silent":
            await say(b"token", True)
            await asyncio.sleep(60)
        elif path == "/talks":
            for _ in range(20):
                await say(b"token", True)
                await asyncio.sleep(0.1)
        await say(b"end", False)
    """


@dataclass
class Answer:
    """What has come on one stream."""

    status: int = 0
    body: bytes = b""
    ended: str = ""
    took: float = 0.0


class Client:
    """A connection of which the server is told at once that it speaks HTTP/2."""

    def __init__(self) -> None:
        self.h2 = zttp.Connection(zttp.CLIENT, zttp.HTTP2)
        self.answers: dict[int, Answer] = {}
        self.moved = asyncio.Condition()
        self.going_away = False
        self.closed = False

    async def connect(self, address: tuple[str, int]) -> None:
        self.reader, self.writer = await asyncio.open_connection(*address)
        self.h2.initiate_connection()
        self.flush()
        self.task = asyncio.ensure_future(self.read())

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def ask(self, path: str, end: bool = True) -> int:
        stream = self.h2.send_request(b"GET" if end else b"POST", path.encode(), b"2", [(b"host", b"x")])
        if end:
            stream.end_message()
        self.flush()
        self.answers[stream.stream_id] = Answer()
        return int(stream.stream_id)

    async def over(self, stream: int) -> Answer:
        async with self.moved:
            await self.moved.wait_for(lambda: self.answers[stream].ended)
        return self.answers[stream]

    async def read(self) -> None:
        begin = time.monotonic()
        while data := await self.reader.read(65536):
            self.h2.receive_data(data)
            async with self.moved:
                while (event := self.h2.next_event()) is not zttp.NEED_DATA:
                    if isinstance(event, zttp.GoAway):
                        self.going_away = True
                        continue
                    answer = self.answers.get(getattr(event, "stream_id", 0))
                    if answer is None:
                        continue
                    if isinstance(event, zttp.Response):
                        answer.status = event.status_code
                    elif isinstance(event, zttp.Data):
                        answer.body += event.data
                    elif isinstance(event, (zttp.EndOfMessage, zttp.RstStream)):
                        answer.ended, answer.took = type(event).__name__, time.monotonic() - begin
                self.moved.notify_all()
            self.flush()
        async with self.moved:
            self.closed = True
            self.moved.notify_all()


def test_one_stream_ends_and_its_neighbours_do_not(master: Start) -> None:
    m = master(APP, 'workers = 1\ntimeout = "1s"', "--http2")
    m.ready(1)

    async def run() -> list[Answer]:
        assert (await ask(m.address(), "/"))[0] == 200  # HTTP/1.1 on the same port
        client = Client()
        await client.connect(m.address())
        streams = [client.ask(path) for path in ("/long", "/silent", "/talks")]
        upload = client.ask("/upload", end=False)
        for _ in range(8):
            await asyncio.sleep(0.2)
            client.h2.stream(upload).send_data(b"x")
            client.flush()
        client.h2.stream(upload).end_message()
        client.flush()
        answers = [await client.over(stream) for stream in [*streams, upload]]
        client.writer.close()
        await client.task
        return answers

    long, silent, talks, upload = asyncio.run(run())
    assert (long.status, long.ended, long.body) == (504, "EndOfMessage", b"Gateway Timeout\n")
    assert 0.99 <= long.took < 2
    assert (silent.status, silent.ended, silent.body) == (200, "RstStream", b"token")
    assert (talks.status, talks.ended, talks.body) == (200, "EndOfMessage", 20 * b"token" + b"end")
    assert (upload.status, upload.ended, upload.body) == (200, "EndOfMessage", b"end")
    status = m.until(lambda s: not s["requests"])
    assert status["counters"]["timeouts"] == 2
    assert status["workers"][0]["restarts"] == 0
    lines = (m.folder / "access.log").read_text().splitlines()
    assert sorted(line.split()[-1] for line in lines) == ["ok", "ok", "ok", "timeout", "timeout"]
    assert sum("HTTP/2" in line for line in lines) == 4


def test_a_blocked_loop_answers_late(master: Start) -> None:
    m = master(APP, 'workers = 1\ntimeout = "1s"', "--http2")
    m.ready(1)

    async def run() -> tuple[Answer, Answer]:
        client = Client()
        await client.connect(m.address())
        neighbour = client.ask("/silent")
        async with client.moved:
            await client.moved.wait_for(lambda: client.answers[neighbour].status)
        answers = await client.over(client.ask("/block")), await client.over(neighbour)
        client.writer.close()
        await client.task
        return answers

    blocked, neighbour = asyncio.run(run())
    assert (blocked.status, blocked.ended) == (504, "EndOfMessage")
    assert (neighbour.status, neighbour.ended) == (200, "RstStream")


def test_drain_and_clients_that_hang_up(master: Start) -> None:
    m = master(APP, 'workers = 1\nkeepalive = "60s"', "--http2", "--cancel-on-disconnect")
    m.ready(1)

    async def run() -> None:
        gone, client = Client(), Client()
        await gone.connect(m.address())
        gone.ask("/long")
        gone.ask("/silent")
        await asyncio.to_thread(m.until, lambda s: len(s["requests"] or []) == 2)
        gone.writer.close()
        await asyncio.to_thread(m.until, lambda s: not s["requests"])
        await client.connect(m.address())
        talks = client.ask("/talks")
        await asyncio.to_thread(m.until, lambda s: len(s["requests"] or []) == 1)
        reload = asyncio.ensure_future(asyncio.to_thread(m.reload))
        async with client.moved:
            await client.moved.wait_for(lambda: client.going_away)
        late = client.ask("/late")  # opened before the client knew, as far as the server can tell
        assert (await client.over(late)).body == b"end"
        assert (await client.over(talks)).body == 20 * b"token" + b"end"
        async with client.moved:
            await client.moved.wait_for(lambda: client.closed)
        await reload

    asyncio.run(run())
    m.logged("exit status 0")
    lines = (m.folder / "access.log").read_text().splitlines()
    assert sorted(line.split()[-1] for line in lines) == ["client_gone", "client_gone", "ok", "ok"]


def test_who_fails_while_others_do_not_is_replaced(master: Start) -> None:
    m = master("""
        import gosuper
        async def app(scope, receive, send):
            if gosuper.worker.id == 1:
                raise RuntimeError("CUDA error")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        """, "workers = 2\nmax_failures = 5", "--http2", "--lifespan", "off")  # fmt: skip
    m.ready(2)

    async def run() -> set[int]:
        seen = set()
        while not m.status()["counters"]["restarts"]["max_failures"]:
            client = Client()
            await client.connect(m.address())
            seen |= {(await client.over(client.ask("/"))).status for _ in range(2)}
            client.writer.close()
            await client.task
        return seen

    assert asyncio.run(run()) == {200, 500}


def test_a_stream_that_is_reset_has_no_client(master: Start) -> None:
    m = master(APP, "workers = 1\nkeepalive = 600", "--http2", "--cancel-on-disconnect")
    m.ready(1)

    async def run() -> None:
        client = Client()
        await client.connect(m.address())
        gone, talks = client.ask("/long"), client.ask("/talks")
        await asyncio.to_thread(m.until, lambda s: len(s["requests"] or []) == 2)
        client.h2.stream(gone).reset()
        client.flush()
        assert (await client.over(talks)).ended == "EndOfMessage"
        await asyncio.to_thread(m.until, lambda s: not s["requests"])
        client.writer.close()
        await client.task

    asyncio.run(run())
    lines = (m.folder / "access.log").read_text().splitlines()
    assert sorted(line.split()[-1] for line in lines) == ["client_gone", "ok"]
