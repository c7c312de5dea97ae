"""Workers of this package under a real master, with real uvicorn."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from conftest import FOREVER, Master, Start, ask, exchange

from gosuper._spread import LONGEST_YIELD

HELLO = """
    import os
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
    """


class Load:
    """Clients that ask until told to stop, and what they saw."""

    def __init__(self, address: tuple[str, int], clients: int, way: str) -> None:
        self.address = address
        self.way = way
        self.answered = 0
        self.lost: list[str] = []
        self.longest = 0.0
        self.stopped = False
        self.tasks = [asyncio.ensure_future(self.client()) for _ in range(clients)]

    async def stop(self) -> None:
        self.stopped = True
        await asyncio.gather(*self.tasks)

    async def client(self) -> None:
        method = "GET" if self.way == "new connections" else "POST"
        connection = None
        while not self.stopped:
            begin = time.monotonic()
            try:
                connection = connection or await asyncio.open_connection(*self.address)
                status, headers, _ = await exchange(*connection, method=method, body=b"x" if method == "POST" else b"")
                if status == 200:
                    self.answered += 1
                else:
                    self.lost.append(str(status))
                closes = headers.get("connection") == "close"
            except (OSError, EOFError) as error:
                self.lost.append(repr(error))
                closes = True
            self.longest = max(self.longest, time.monotonic() - begin)
            if connection is not None and (closes or self.way == "new connections"):
                connection[1].close()
                connection = None
            if self.way == "with pauses":
                await asyncio.sleep(0.15)


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("way", ["new connections", "keep-alive", "with pauses"])
def test_reload_under_load(master: Start, way: str, http: str) -> None:
    m = master(HELLO, "workers = 2", "--http", http)
    m.ready(2)

    async def run() -> Load:
        load = Load(m.address(), 8, way)
        for _ in range(3):
            await asyncio.to_thread(m.reload)
        await load.stop()
        return load

    load = asyncio.run(run())
    print(f"{way} {http}: {load.answered} answered, {len(load.lost)} lost, longest {load.longest * 1000:.0f} ms")
    assert load.lost == []
    assert load.answered > 50
    assert m.stop() == 0


def recycle_under_load(m: Master, clients: int) -> None:
    """Load until four workers have been replaced by what they have served; it loses nothing."""

    async def run() -> Load:
        load = Load(m.address(), clients, "keep-alive")
        await asyncio.to_thread(m.until, lambda s: s["counters"]["restarts"]["max_requests"] >= 4)
        await load.stop()
        return load

    load = asyncio.run(run())
    print(f"{load.answered} answered, {len(load.lost)} lost, longest {load.longest * 1000:.0f} ms")
    assert load.lost == []


def test_max_requests_under_load(master: Start) -> None:
    m = master(HELLO, "workers = 2\nmax_requests = 300\nmax_requests_jitter = 50")
    m.ready(2)
    recycle_under_load(m, 8)
    assert m.stop() == 0


SLOW = """
    import asyncio, time
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse
    app = FastAPI()

    @app.get("/async")
    async def in_coroutine():
        await asyncio.sleep(30)

    @app.get("/thread")
    def in_thread():
        time.sleep(3)

    @app.get("/block")
    async def blocking():
        time.sleep(30)

    @app.get("/spin")
    async def spinning():
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pass

    @app.get("/stream")
    async def stream():
        async def tokens():
            for _ in range(30):
                await asyncio.sleep(0.1)
                yield b"token "
        return StreamingResponse(tokens())
    """


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize(("loop", "http"), [("asyncio", "h11"), ("uvloop", "httptools")])
@pytest.mark.parametrize("path", ["/async", "/thread", "/block", "/spin"])
def test_timeout(master: Start, path: str, loop: str, http: str) -> None:
    m = master(SLOW, 'workers = 1\ntimeout = "1s"', "--loop", loop, "--http", http)
    m.ready(1)

    async def run() -> None:
        streams = []
        if path in ("/async", "/thread"):
            streams = [asyncio.ensure_future(ask(m.address(), "/stream")) for _ in range(3)]
        begin = time.monotonic()
        status, headers, _ = await ask(m.address(), path)
        took = time.monotonic() - begin
        print(f"{path} on {loop}: {took:.3f} s")
        assert status == 504
        assert headers["retry-after"] == "5"
        assert headers["connection"] == "close"
        assert 0.99 <= took < 5  # the guard gives time where it was starved itself
        for status, _, body in await asyncio.gather(*streams):
            assert (status, body) == (200, 30 * b"token ")

    asyncio.run(run())
    m.logged(f"GET '{path}' was ended at its limit")
    if path in ("/block", "/spin"):
        m.logged("in blocking" if path == "/block" else "in spinning")
    assert m.status()["counters"]["timeouts"] == 1


@pytest.mark.usefixtures("stores")
def test_blocked_worker_answers_before_it_is_killed(master: Start) -> None:
    app = """
        import asyncio, time
        async def app(scope, receive, send):
            if scope["type"] == "http":
                if scope["path"] == "/block":
                    time.sleep(30)
                await asyncio.sleep(30)
    """
    m = master(app, 'workers = 1\ntimeout = "3s"\ngraceful_timeout = "1s"')
    m.ready(1)

    async def run() -> None:
        innocent = asyncio.ensure_future(ask(m.address(), "/innocent"))
        await asyncio.to_thread(m.until, lambda s: s["counters"]["requests"] >= 0 and len(s["requests"] or []) == 1)
        blocked = asyncio.ensure_future(ask(m.address(), "/block"))
        await asyncio.to_thread(m.until, lambda s: len(s["requests"] or []) == 2)
        m.process.terminate()
        for answer in await asyncio.gather(innocent, blocked):
            assert answer[0] == 503
            assert answer[1]["retry-after"] == "5"

    asyncio.run(run())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_spread(master: Start, loop: str) -> None:
    app = """
        import asyncio, os
        async def app(scope, receive, send):
            if scope["type"] != "http":
                raise RuntimeError("no lifespan")
            await asyncio.sleep(2)
            body = str(os.getpid()).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        """
    m = master(app, "workers = 4", "--loop", loop)
    workers = [worker["pid"] for worker in m.ready(4)["workers"]]

    def starved() -> int:
        """For how long they have waited for a processor so far, in nanoseconds."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in workers)

    async def run() -> list[int]:
        answers = await asyncio.gather(*(ask(m.address(), "/") for _ in range(40)))
        pids = [body for _, _, body in answers]
        return sorted(pids.count(pid) for pid in set(pids))

    # Nobody waits for long for a worker that gets no processor, so on a busy machine an uneven run says nothing. Who
    # accepts greedily never comes near.
    shares: list[list[int]] = []
    uneven, end = 0, time.monotonic() + FOREVER
    while not shares or len(shares[-1]) < 4 or shares[-1][0] < 9 or shares[-1][3] > 11:
        assert uneven < 5, shares
        assert time.monotonic() < end, shares
        before = starved()
        shares.append(asyncio.run(run()))
        uneven += starved() - before < len(workers) * LONGEST_YIELD
    print(loop, shares)


def test_logged_size(master: Start) -> None:
    """What is logged of an answer without a body is nothing, whatever the application sent."""
    m = master(HELLO, "workers = 1")
    m.ready(1)

    async def run() -> None:
        for method in ("HEAD", "GET"):
            reader, writer = await asyncio.open_connection(*m.address())
            writer.write(f"{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert (await reader.read()).endswith(b"ok" if method == "GET" else b"\r\n\r\n")
            writer.close()

    asyncio.run(run())
    m.stop()
    lines = (m.folder / "access.log").read_text().splitlines()
    assert [line.split('" ')[1].split()[1] for line in lines] == ["0", "2"]
