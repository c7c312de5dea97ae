"""The file of the FastAPI example under Gunicorn, and what becomes of it under gosuper: one application, one behaviour."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BINARY, FOREVER, ask, environment

EXAMPLE = Path(__file__).parents[3] / "examples/fastapi/gunicorn.conf.py"
CPUS = os.cpu_count() or 1

APP = """
    import asyncio, os
    print("imported", flush=True)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            print("serving", flush=True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return await send({"type": "lifespan.shutdown.complete"})
        if scope["path"] == "/slow":
            print("slow", flush=True)
            await asyncio.sleep(1)
        body = scope["client"][0].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
    """


@pytest.mark.skipif(BINARY is None or not EXAMPLE.exists(), reason="no gosuper: set TEST_GOSUPER")
@pytest.mark.parametrize("server", ["gunicorn", "gosuper"])
def test_the_example(tmp_path: Path, server: str) -> None:
    assert BINARY is not None
    (tmp_path / "served.py").write_text(textwrap.dedent(APP))
    (tmp_path / "gunicorn.conf.py").write_text(EXAMPLE.read_text().replace("127.0.0.1:8000", "127.0.0.1:0"))
    env = environment() | {"VIRTUAL_ENV": sys.prefix}
    workers = 2 * CPUS + 1
    if server == "gunicorn":
        # The class as uvicorn has it, which is the same as that of the package.
        command = [sys.executable, "-m", "gunicorn", "-k", "uvicorn.workers.UvicornWorker", "--no-control-socket"]
    else:
        imported = subprocess.run(
            [BINARY, "import", "gunicorn.conf.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        assert imported.stderr == ""
        (tmp_path / "supervisor.toml").write_text(imported.stdout)
        command = [BINARY, "-c", "supervisor.toml", "--control", "off"]
        checked = subprocess.run(
            [*command, "--check-config", "served:app"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
        count = re.search(r'^workers = "2\*cpu\+1" +# (\d+): ', checked.stdout, re.MULTILINE)  # by another count of CPUs
        assert count is not None, checked.stdout
        workers = int(count[1])

    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "served:app"], cwd=tmp_path, env=env, stdout=output, stderr=output)

    def until(condition: Callable[[str], bool]) -> str:
        end = time.monotonic() + FOREVER
        while not condition(text := log.read_text()):
            assert time.monotonic() < end, text
            assert process.poll() is None, text
            time.sleep(0.02)
        return text

    try:
        said = until(lambda text: len(re.findall("^serving$", text, re.MULTILINE)) == workers)
        assert said.count("imported\n") == 1  # preload_app
        port = re.search(r"\b127\.0\.0\.1:([1-9]\d*)", said)
        assert port is not None, said
        address = ("127.0.0.1", int(port[1]))

        async def run() -> None:
            assert (await ask(address))[::2] == (200, b"127.0.0.1")
            slow = asyncio.ensure_future(ask(address, "/slow"))
            await asyncio.to_thread(until, lambda text: "slow\n" in text)
            process.send_signal(signal.SIGTERM)
            assert (await slow)[0] == 200  # graceful_timeout

        asyncio.run(run())
        assert process.wait(FOREVER) == 0
        said = log.read_text()
        for path in ("/", "/slow"):  # accesslog = "-"
            assert re.search(rf'^.*127\.0\.0\.1\b.*"GET {path} HTTP/1\.1" 200\b', said, re.MULTILINE), said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
