"""What a request, a token of a stream and a connection cost this package, and uvicorn beside it, in microseconds of CPU
time; but for the connection without a network.

Its Python needs gosuper[uvicorn], and FastAPI for the second table.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "src"), str(HERE / "tests"), str(HERE.parents[1] / "cmd/gosuper-bench")]
subprocess.run([sys.executable, str(HERE / "compile_speed.py")], check=True)

import protocols  # noqa: E402
import uvloop  # noqa: E402

BATCH, BATCHES = 50, 400
TOKENS = 200
GET = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1:8000\r\nuser-agent: bench\r\naccept: */*\r\n\r\n"
SCOPE = {"type": "http", "method": "GET", "path": "/health", "raw_path": b"/health", "query_string": b""}


async def measure(kinds: dict[str, Callable[[], Awaitable[Any]]], steps: int = BATCH) -> dict[str, float]:
    """The cost of each kind of step: in turns, and the best tenth of the batches, since other programs only add to it."""
    costs: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(BATCHES):
        for name, step in kinds.items():
            begin = time.process_time_ns()
            for _ in range(steps):
                await step()
            costs[name].append((time.process_time_ns() - begin) / steps / 1000)
    return {name: sorted(found)[BATCHES // 10] for name, found in costs.items()}


CLIENT = """
import socket, sys
for line in sys.stdin:
    port, number = map(int, line.split())
    for _ in range(number):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
    print(flush=True)
"""


class Client:
    """A process that makes connections, which end at once, one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Client:
        """Start it."""
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, stdin=pipe, stdout=pipe))

    async def connect(self, sock: socket.socket) -> None:
        """Have it make a batch of connections to a listening socket."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(b"%d %d\n" % (sock.getsockname()[1], BATCH))
        await stdout.readline()

    async def stop(self) -> None:
        """End it."""
        self._process.kill()
        await self._process.wait()


def listen() -> socket.socket:
    """A socket as workers get it."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=BATCH)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


async def sink(message: Any) -> None:
    """A server that sends nothing."""


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """An application that streams tokens."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for _ in range(TOKENS):
        await send({"type": "http.response.body", "body": b"event: token\ndata: {}\n\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def show(title: str, found: dict[str, float]) -> None:
    """Print one table."""
    print(f"{title}, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for name, cost in found.items():
        print(f"  {name:32} {cost:6.2f} µs")
    print(f"  ratio of gosuper to uvicorn      {found['gosuper'] / found['uvicorn']:6.3f}")


async def main() -> None:
    """Print the tables."""
    for module in ("app", "fast"):
        try:
            target = f"{module}:app"
            uvicorn, gosuper = protocols.theirs(target), protocols.ours(target)
        except ImportError as error:
            print(f"{module}: {error}")
            continue
        app, serve = uvicorn.config.loaded_app, gosuper.accounting.serve

        def scope() -> dict[str, Any]:
            return {**SCOPE, "headers": [(b"host", b"x"), (b"accept", b"*/*")], "client": ("127.0.0.1", 1)}

        found = await measure(
            {
                "the application": lambda app=app: app(scope(), None, sink),
                "the application, accounted for": lambda serve=serve: serve(None, scope(), None, sink),
                "uvicorn": lambda uvicorn=uvicorn: protocols.ask(uvicorn, GET),
                "gosuper": lambda gosuper=gosuper: protocols.ask(gosuper, GET),
            }
        )
        show(target, found)
    connections = {"uvicorn": protocols.theirs(stream), "gosuper": protocols.ours(stream)}
    found = await measure({name: partial(protocols.ask, connection, GET) for name, connection in connections.items()})
    show("a token", {name: cost / TOKENS for name, cost in found.items()})
    sockets = {"uvicorn": listen(), "gosuper": listen()}
    await protocols.serve_theirs(stream, sockets["uvicorn"])
    await protocols.serve_ours(stream, sockets["gosuper"])
    client = await Client.start()
    found = await measure({name: partial(client.connect, sock) for name, sock in sockets.items()}, steps=1)
    show("a connection", {name: cost / BATCH for name, cost in found.items()})
    await client.stop()


if __name__ == "__main__":
    uvloop.run(main())
