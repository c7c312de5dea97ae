"""What the log shows of a worker that hangs."""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest
from conftest import FOREVER, Start, ask


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_lifespan_that_hangs(master: Start, loop: str) -> None:
    app = """
        import asyncio, contextlib
        from fastapi import FastAPI

        async def connect():
            print("connecting", flush=True)
            await asyncio.Event().wait()

        @contextlib.asynccontextmanager
        async def start(app):
            await asyncio.create_task(connect(), name="connecting")
            yield

        app = FastAPI(lifespan=start)
        """
    m = master(app, "workers = 1\nrestart.startup_attempts = 1", "--loop", loop)
    m.logged("connecting")
    os.kill(m.status()["workers"][0]["pid"], signal.SIGABRT)  # as the master does at the end of startup_timeout
    assert m.process.wait(FOREVER) == 3
    shown = re.search(r"^Task-\d+ waits.*\n(?:  .*\n)+", m.output(), re.MULTILINE)
    assert shown is not None, m.output()
    names = re.findall(r" in (\w+)$", shown[0], re.MULTILINE)
    assert [name for name in names if name in ("start", "connect", "wait")] == ["start", "connect", "wait"]
    assert "aborted (SIGABRT)" in m.output()


STUCK = """
    import asyncio, time

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        if scope["path"] == "/begins":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] in ("/blocks", "/begins"):
            time.sleep(3600)
        await stubborn()
    """


def test_handler_that_hangs(master: Start) -> None:
    m = master(STUCK, 'workers = 1\ntimeout = "500ms"\ngraceful_timeout = "1s"')
    m.ready(1)
    assert asyncio.run(ask(m.address(), "/stubborn"))[0] == 504
    m.logged("aborted (SIGABRT)")
    shown = re.search(r"^GET '/stubborn' \(Task-\d+\) waits.*\n(?:  .*\n)+", m.output(), re.MULTILINE)
    assert shown is not None, m.output()
    assert re.search(r"in app\n.*\n.* in stubborn\n.*\n.* in sleep\n", shown[0])


@pytest.mark.parametrize("path", ["/blocks", "/begins"])
def test_handler_that_blocks(master: Start, path: str) -> None:
    """Also one that has begun an answer, of which nothing was written."""
    m = master(STUCK, 'workers = 1\ntimeout = "500ms"\ngraceful_timeout = "1s"')
    m.ready(1)
    assert asyncio.run(ask(m.address(), path))[0] == 504
    m.logged("aborted (SIGABRT)")
    assert re.search(rf"^GET '{path}' \(Task-\d+\) is running, in the main thread$", m.output(), re.MULTILINE)
    assert re.search(r'^  File ".*served.py", line \d+ in app$', m.output(), re.MULTILINE)
