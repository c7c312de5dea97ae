"""Limits of requests and connections, under a real master."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time

import pytest
from conftest import FOREVER, Start, ask, exchange, wakeups

pytestmark = pytest.mark.usefixtures("stores")

APP = """
    import asyncio, gosuper, os, resource
    async def start(send, length=None):
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        path = scope["path"]
        try:
            if path == "/silent":
                await start(send)
                await send({"type": "http.response.body", "body": b"token", "more_body": True})
                await asyncio.sleep(60)
            elif path == "/slow":
                await asyncio.sleep(1)
            elif path == "/long":
                await asyncio.sleep(60)
            elif path == "/talks":
                await start(send)
                for _ in range(100):
                    await send({"type": "http.response.body", "body": b"token", "more_body": True})
                    await asyncio.sleep(0.05)
            elif path == "/upload":
                while (await receive())["more_body"]:
                    pass
            elif path == "/recycle":
                gosuper.recycle("asked for")
            elif path == "/nothing":
                return
            elif path == "/waits":
                while (await receive())["type"] != "http.disconnect":
                    pass
                return
            elif path == "/half":
                await start(send, 9)
                return await send({"type": "http.response.body", "body": b"token", "more_body": True})
            elif path == "/raise":
                raise ValueError("on purpose")
            elif path == "/descriptors":
                # Only so many are left that this connection's is the last.
                highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            elif path == "/deadline":
                assert scope["extensions"]["gosuper"]["deadline"] > asyncio.get_running_loop().time()
            await start(send, 2)
            await send({"type": "http.response.body", "body": b"ok"})
        except asyncio.CancelledError:
            print("cancelled", path, flush=True)
            raise
    """


def test_stream_and_request_timeout(master: Start) -> None:
    m = master(APP, 'workers = 1\ntimeout = "1s"\nrequest_timeout = "2s"')
    m.ready(1)

    async def run() -> None:
        assert (await ask(m.address(), "/deadline"))[0] == 200
        begin = time.monotonic()
        with pytest.raises((EOFError, OSError)):
            await ask(m.address(), "/silent")
        assert 0.9 < time.monotonic() - begin < 4
        begin = time.monotonic()
        with pytest.raises((EOFError, OSError)):
            await ask(m.address(), "/talks")
        assert 1.9 < time.monotonic() - begin < 4

    asyncio.run(run())
    m.logged("cancelled /silent")
    m.logged("cancelled /talks")
    lines = (m.folder / "access.log").read_text().splitlines()
    assert [line.split()[-1] for line in lines] == ["ok", "timeout", "timeout"]
    assert m.status()["counters"]["timeouts"] == 2


def test_starved(master: Start) -> None:
    """A worker that was stopped for the whole time that a stream may be silent cuts no stream for that."""
    m = master(APP, 'workers = 1\ntimeout = "1s"')
    m.ready(1)
    pid = m.status()["workers"][0]["pid"]

    async def run() -> None:
        for _ in range(3):
            reader, writer = await asyncio.open_connection(*m.address())
            writer.write(b"GET /talks HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"token")
            await asyncio.sleep(0.03)  # into a pause of the stream
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(1.02)  # what is tested
            os.kill(pid, signal.SIGCONT)
            for _ in range(12):
                await reader.readuntil(b"token")
            writer.close()

    asyncio.run(run())
    assert m.status()["counters"]["timeouts"] == 0


SLOW_TO_COME_BACK = """
    import asyncio
    import time

    def work(before):
        while 0.5 < time.monotonic() - before < 1.4:
            pass
        asyncio.get_running_loop().call_later(0.01, work, time.monotonic())

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            work(time.monotonic())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        print("asked", flush=True)
        await asyncio.sleep(0.6)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
    """


def test_starved_and_slow_to_come_back(master: Start) -> None:
    """A loop that has much to do after the whole worker was stopped is not taken for a blocked one."""
    m = master(SLOW_TO_COME_BACK, 'workers = 1\ntimeout = "1s"')
    m.ready(1)
    pid = m.status()["workers"][0]["pid"]

    async def run() -> None:
        answer = asyncio.ensure_future(ask(m.address(), "/"))
        await asyncio.to_thread(m.logged, "asked")
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(1.05)  # what is tested
        os.kill(pid, signal.SIGCONT)
        assert (await answer)[0] == 200

    asyncio.run(run())
    assert m.status()["counters"]["timeouts"] == 0


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_an_upload_is_progress(master: Start, http: str) -> None:
    m = master(APP, 'workers = 1\ntimeout = "1s"', "--http", http)
    m.ready(1)

    async def run() -> None:
        reader, writer = await asyncio.open_connection(*m.address())
        writer.write(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.2)
            writer.write(b"x")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()

    asyncio.run(run())


def test_worker_connections(master: Start) -> None:
    m = master(APP, "workers = 1\nworker_connections = 2")
    m.ready(1)

    async def run() -> None:
        begin = time.monotonic()
        answers = await asyncio.gather(*(ask(m.address(), "/slow") for _ in range(4)))
        assert [status for status, _, _ in answers] == 4 * [200]
        assert time.monotonic() - begin > 1.9

    asyncio.run(run())


def test_backlog_timeout(master: Start) -> None:
    m = master(APP, 'workers = 1\nworker_connections = 1\nbacklog_timeout = "300ms"')
    m.ready(1)

    async def run() -> None:
        answers = await asyncio.gather(*(ask(m.address(), "/slow") for _ in range(2)))
        assert sorted(status for status, _, _ in answers) == [200, 503]
        refused = next(headers for status, headers, _ in answers if status == 503)
        assert (refused["retry-after"], refused["connection"]) == ("1", "close")

    asyncio.run(run())


def test_out_of_descriptors(master: Start) -> None:
    m = master(APP, "workers = 1", "--loop", "asyncio")
    m.ready(1)

    async def run() -> None:
        held = await asyncio.open_connection(*m.address())
        assert (await exchange(*held, "/descriptors"))[0] == 200
        waiting = [asyncio.ensure_future(ask(m.address(), "/")) for _ in range(3)]
        await asyncio.to_thread(m.logged, "cannot accept connections for the moment")
        held[1].close()
        assert [(await answer)[0] for answer in waiting] == 3 * [200]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "options", "status"), [("/slow", (), 200), ("/slow", ("--cancel-on-disconnect",), 0), ("/waits", (), 0)]
)
def test_client_gone(master: Start, path: str, options: tuple[str, ...], status: int) -> None:
    m = master(APP, "workers = 1", *options)
    m.ready(1)

    async def run() -> None:
        _, writer = await asyncio.open_connection(*m.address())
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        await asyncio.to_thread(m.until, lambda s: len(s["requests"] or []) == 1)
        writer.close()
        await asyncio.to_thread(m.until, lambda s: not s["requests"])

    asyncio.run(run())
    m.until(lambda _: (m.folder / "access.log").read_text().endswith("client_gone\n"))
    assert f'"GET {path} HTTP/1.1" {status} ' in (m.folder / "access.log").read_text()
    assert ("cancelled /slow" in m.output()) == bool(options)
    assert "Traceback" not in m.output()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_client_that_has_its_answer_is_not_gone(master: Start, method: str) -> None:
    m = master("""
        async def app(scope, receive, send):
            headers = [(b"content-length", b"5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            await send({"type": "http.response.body"})
        """, "workers = 1", "--lifespan", "off")  # fmt: skip
    m.ready(1)
    with socket.create_connection(m.address(), timeout=FOREVER) as client:
        client.sendall(b"%b / HTTP/1.1\r\nHost: x\r\n\r\n" % method.encode())
        answer = b""
        while b"\r\n\r\n" not in answer or (method == "GET" and not answer.endswith(b"hello")):
            answer += client.recv(1000)
    m.until(lambda _: (m.folder / "access.log").read_text().endswith(" ok\n"))


def test_recycle_and_a_panic(master: Start) -> None:
    m = master(APP, "workers = 1")
    before = m.ready(1)["workers"][0]["id"]

    async def run() -> None:
        assert (await ask(m.address(), "/raise"))[0] == 500
        assert (await ask(m.address(), "/nothing"))[::2] == (500, b"Internal Server Error")
        with pytest.raises(EOFError):
            await ask(m.address(), "/half")
        assert (await ask(m.address(), "/recycle"))[0] == 200

    asyncio.run(run())
    m.until(lambda s: [w["id"] for w in s["workers"]] != [before] and [w["state"] for w in s["workers"]] == ["ready"])
    assert m.status()["counters"]["restarts"]["recycle"] == 1
    assert "ValueError: on purpose" in m.output()
    lines = (m.folder / "access.log").read_text().splitlines()
    assert [line.split()[-1] for line in lines] == ["panic", "panic", "panic", "ok"]
    assert '"GET /raise HTTP/1.1" 500 21 ' in lines[0]
    assert '"GET /nothing HTTP/1.1" 500 21 ' in lines[1]
    assert '"GET /half HTTP/1.1" 200 5 ' in lines[2]
    assert "-" not in [line.split()[-4] for line in lines]  # the time to the first byte


def test_no_keepalive(master: Start) -> None:
    m = master(APP, "workers = 1\nkeepalive = 0")
    m.ready(1)
    assert asyncio.run(ask(m.address(), "/"))[1]["connection"] == "close"


def test_idle_worker_does_not_wake_up(master: Start) -> None:
    m = master(APP, "workers = 1")
    pid = m.ready(1)["workers"][0]["pid"]
    asyncio.run(ask(m.address(), "/"))
    window = 4.0
    rates: list[float] = []
    while not rates or rates[-1] > 0.2:  # the last connection has an end too
        before = wakeups(pid)
        time.sleep(window)
        rates.append((wakeups(pid) - before) / window)
        assert len(rates) < 5, rates
