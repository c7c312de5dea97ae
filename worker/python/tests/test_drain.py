"""How workers finish: what is told, what is answered, and what is waited for."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
from conftest import Start, ask, exchange

STREAMS = """
    import asyncio, contextlib
    import gosuper
    from fastapi import FastAPI, Request, WebSocket
    from fastapi.responses import StreamingResponse
    from starlette.background import BackgroundTask

    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield
        print("lifespan ends", flush=True)

    app = FastAPI(lifespan=lifespan)

    async def tokens():
        try:
            while True:
                yield b"token "
                await asyncio.sleep(0.05)
        finally:
            print("tokens end", flush=True)

    @app.get("/wrapped")
    async def wrapped():
        return StreamingResponse(gosuper.stream(tokens(), farewell=b"farewell"))

    @app.get("/event")
    async def event(request: Request):
        draining = request.scope["extensions"]["gosuper"]["draining"]
        async def until_told():
            yield b"begin "
            await draining.wait()
            yield b"farewell"
        return StreamingResponse(until_told())

    @app.get("/sync")
    def sync():
        def until_told():
            yield b"begin "
            assert gosuper.wait_draining_sync(60)
            yield b"farewell"
        return StreamingResponse(until_told())

    @app.get("/slow")
    async def slow():
        await gosuper.wait_draining()
        await asyncio.sleep(0.1)
        return {"draining": gosuper.draining()}

    @app.get("/background")
    async def background():
        async def work():
            await gosuper.wait_draining()
            await asyncio.sleep(0.3)
            print("background done", flush=True)
        return StreamingResponse(iter([b"ok"]), background=BackgroundTask(work))

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        await socket.send_text("hello")
        await gosuper.wait_draining()
        await socket.send_text("farewell")
        await socket.close(1001)

    @app.websocket("/chat")
    async def chat(socket: WebSocket):
        await socket.accept()
        await socket.send_text("hello")
        async for _ in socket.iter_text():
            pass
    """


@pytest.mark.parametrize("path", ["/wrapped", "/event", "/sync"])
def test_streams_are_told_first(master: Start, path: str) -> None:
    m = master(STREAMS, "workers = 1")
    m.ready(1)

    async def run() -> float:
        answer = asyncio.ensure_future(ask(m.address(), path))
        await asyncio.to_thread(m.until, lambda s: any(r["streaming"] for r in s["requests"] or []))
        begin = time.monotonic()
        await asyncio.to_thread(m.reload)
        status, _, body = await answer
        assert (status, body[-8:]) == (200, b"farewell")
        return time.monotonic() - begin

    print(f"{path}: {asyncio.run(run()):.3f} s from the order to reload")
    m.logged("lifespan ends")
    if path == "/wrapped":
        m.logged("tokens end")
        assert m.output().index("tokens end") < m.output().index("lifespan ends")
    assert m.stop() == 0
    assert m.output().count("exit status 0") == 2


def test_requests_and_background_work_are_waited_for(master: Start) -> None:
    m = master(STREAMS, 'workers = 1\nkeepalive = "60s"')
    m.ready(1)

    async def run() -> None:
        assert (await ask(m.address(), "/background"))[0] == 200
        reader, writer = await asyncio.open_connection(*m.address())
        assert (await exchange(reader, writer, "/nothing"))[0] == 404  # idle from here on
        unused = await asyncio.open_connection(*m.address())
        answer = asyncio.ensure_future(ask(m.address(), "/slow"))
        await asyncio.to_thread(m.until, lambda s: len(s["requests"] or []) == 1)
        await asyncio.to_thread(m.reload)
        for connection in ((reader, writer), unused):
            headers: dict[str, str] = {}
            while "connection" not in headers:  # the worker may not have seen the signal yet
                status, headers, _ = await exchange(*connection, "/nothing")
                assert status == 404
            assert headers["connection"] == "close"
            assert await connection[0].read() == b""
            connection[1].close()
        status, headers, body = await answer
        assert (status, headers["connection"], body) == (200, "close", b'{"draining":true}')

    asyncio.run(run())
    m.logged("exit status 0")
    assert m.output().index("background done") < m.output().index("lifespan ends")


@pytest.mark.parametrize("implementation", ["websockets", "websockets-sansio"])
def test_websockets_are_told(master: Start, implementation: str) -> None:
    websockets = pytest.importorskip("websockets")
    m = master(STREAMS, "workers = 1", "--ws", implementation)
    m.ready(1)

    async def run() -> None:
        host, port = m.address()
        async with websockets.connect(f"ws://{host}:{port}/ws", proxy=None) as socket:
            assert await socket.recv() == "hello"
            assert [r["path"] for r in m.status()["requests"]] == ["/ws"]
            await asyncio.to_thread(m.reload)
            assert await socket.recv() == "farewell"
            await socket.wait_closed()
            assert socket.close_code == 1001

    asyncio.run(run())
    m.logged("exit status 0")


def test_silent_websocket_is_ended(master: Start) -> None:
    websockets = pytest.importorskip("websockets")
    m = master(STREAMS, 'workers = 1\nupgrade_timeout = "1s"')
    m.ready(1)

    async def run() -> float:
        host, port = m.address()
        async with websockets.connect(f"ws://{host}:{port}/chat", proxy=None) as socket:
            assert await socket.recv() == "hello"
            begin = time.monotonic()
            for _ in range(8):
                await asyncio.sleep(0.2)
                await socket.send("alive")
            await socket.wait_closed()
            return time.monotonic() - begin

    took = asyncio.run(run())
    assert 2.4 < took < 10
    assert m.until(lambda s: s["counters"]["timeouts"] == 1)


def test_what_does_not_end_is_cut_in_time(master: Start) -> None:
    app = """
        import asyncio
        async def app(scope, receive, send):
            if scope["type"] != "http":
                raise RuntimeError("no lifespan")
            if scope["path"] == "/stream":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"token", "more_body": True})
            await asyncio.sleep(60)
        """
    m = master(app, 'workers = 1\ngraceful_timeout = "1s"')
    m.ready(1)

    async def run() -> None:
        silent = asyncio.ensure_future(ask(m.address(), "/silent"))
        stream = asyncio.ensure_future(ask(m.address(), "/stream"))
        await asyncio.to_thread(m.until, lambda s: len(s["requests"] or []) == 2)
        m.process.send_signal(signal.SIGTERM)
        status, headers, _ = await silent
        assert (status, headers["retry-after"]) == (503, "5")
        with pytest.raises((EOFError, OSError)):
            await stream

    asyncio.run(run())
    assert m.process.wait(60) == 0
    assert "exit status 0" in m.output()
    lines = sorted((m.folder / "access.log").read_text().splitlines())
    assert [line.split()[-1] for line in lines] == ["drain", "drain"]
    assert ['"GET /silent HTTP/1.1" 503' in line for line in lines] == [True, False]


def test_connections_have_turns(master: Start) -> None:
    clients = 100
    m = master(STREAMS, "workers = 1")
    m.ready(1)

    async def ask_until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        headers: dict[str, str] = {}
        while "connection" not in headers:
            status, headers, _ = await exchange(reader, writer, "/nothing")
            assert status == 404
        ended = time.monotonic()
        assert await reader.read() == b""
        writer.close()
        return ended

    async def run() -> list[float]:
        connections = [await asyncio.open_connection(*m.address()) for _ in range(clients)]
        for connection in connections:
            assert (await exchange(*connection, "/nothing"))[0] == 404
        asking = [asyncio.ensure_future(ask_until_closed(*connection)) for connection in connections]
        begun = time.monotonic()
        m.process.send_signal(signal.SIGTERM)
        return sorted(ended - begun for ended in await asyncio.gather(*asking))

    ended = asyncio.run(run())
    print(f"the last of {clients} after {ended[-1]:.3f} s")
    assert all(after >= place / 1000 for place, after in enumerate(ended))
    assert m.process.wait(60) == 0
    assert "were cut" not in m.output()


def test_the_end_of_the_master_is_noticed(master: Start) -> None:
    m = master(STREAMS, "workers = 1")
    pid = m.ready(1)["workers"][0]["pid"]
    m.process.kill()
    m.process.wait()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("the worker lives on")


def test_threads_do_not_keep_the_worker(master: Start) -> None:
    app = """
        import asyncio, threading, time
        from fastapi import FastAPI
        app = FastAPI()

        @app.get("/pool")
        def pool():
            time.sleep(60)

        @app.get("/executor")
        async def executor():
            await asyncio.to_thread(time.sleep, 60)
        """
    m = master(app, 'workers = 1\ngraceful_timeout = "2s"\ntimeout = "1s"')
    m.ready(1)

    async def run() -> None:
        answers = await asyncio.gather(ask(m.address(), "/pool"), ask(m.address(), "/executor"))
        assert [status for status, _, _ in answers] == [504, 504]

    asyncio.run(run())
    assert m.stop() == 0
    assert "exit status 0" in m.output()
