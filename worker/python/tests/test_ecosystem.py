"""What applications use beside a framework, under a real master."""

from __future__ import annotations

import asyncio
import re

import pytest
from conftest import Start, ask

METRICS = """
    import os
    from prometheus_client import values
    values.ValueClass = values.MultiProcessValue(lambda: os.environ.get("GOSUPER_PLACE", "loader"))
    from fastapi import FastAPI
    from prometheus_client import CollectorRegistry, Counter, Histogram, make_asgi_app
    from prometheus_client.multiprocess import MultiProcessCollector

    hellos = Counter("hellos", "Said.")
    took = Histogram("took", "Seconds.")
    app = FastAPI()

    @app.get("/")
    async def hello():
        hellos.inc()
        took.observe(1)
        return {"place": os.environ["GOSUPER_PLACE"]}

    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    app.mount("/metrics", make_asgi_app(registry))
    """


def test_prometheus_files_do_not_grow_with_the_generations(master: Start) -> None:
    pytest.importorskip("prometheus_client")
    m = master(METRICS, 'workers = 2\nenv = { PROMETHEUS_MULTIPROC_DIR = "." }')
    m.ready(2)
    asked = 0

    async def hellos() -> None:
        nonlocal asked
        for _ in range(20):
            assert (await ask(m.address(), "/"))[0] == 200
            asked += 1

    for _ in range(4):
        asyncio.run(hellos())
        m.reload()
        m.ready(2)
    text = asyncio.run(ask(m.address(), "/metrics/"))[2].decode()
    assert re.findall(r"^(?:hellos_total|took_count) (\S+)", text, re.MULTILINE) == [f"{asked}.0", f"{asked}.0"]
    files = sorted(file.name for file in m.folder.glob("*.db"))
    places = {name.removesuffix(".db").rpartition("_")[2] for name in files}
    assert places <= {"0", "1", "2"}, files  # workers and surge
    assert len(files) <= 2 * 3, files


def test_sse_starlette_says_farewell(master: Start) -> None:
    pytest.importorskip("sse_starlette")
    app = """
        import asyncio
        import gosuper
        from fastapi import FastAPI
        from sse_starlette import EventSourceResponse

        app = FastAPI()

        async def tokens():
            while True:
                yield {"event": "token", "data": "hello"}
                await asyncio.sleep(0.05)

        @app.get("/wrapped")
        async def wrapped():
            farewell = {"event": "error", "data": "shutting down"}
            return EventSourceResponse(gosuper.stream(tokens(), farewell=farewell))

        @app.get("/bare")
        async def bare():
            return EventSourceResponse(tokens())
        """
    m = master(app, "workers = 1")
    m.ready(1)

    async def run() -> None:
        answers = [asyncio.ensure_future(ask(m.address(), path)) for path in ("/wrapped", "/bare")]
        await asyncio.to_thread(m.until, lambda s: sum(r["streaming"] for r in s["requests"] or []) == 2)
        await asyncio.to_thread(m.reload)
        _, _, body = await answers[0]
        assert body.endswith(b"event: token\r\ndata: hello\r\n\r\nevent: error\r\ndata: shutting down\r\n\r\n")
        with pytest.raises(EOFError):
            await answers[1]  # sse-starlette cuts it when it hears of the signal

    asyncio.run(run())
    m.logged("exit status 0")
