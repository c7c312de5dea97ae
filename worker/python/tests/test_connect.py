"""How accepted sockets become connections, on whatever event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import protocols
import pytest
import uvloop

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
CAP = 60


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_a_connection_is_accepted(run: Callable[..., None], family: socket.AddressFamily, tmp_path: Path) -> None:
    async def main() -> None:
        addresses: dict[int, Any] = {
            socket.AF_INET: ("127.0.0.1", 0),
            socket.AF_INET6: ("::1", 0),
            socket.AF_UNIX: str(tmp_path / "sock"),
        }
        listening = socket.socket(family)
        listening.bind(addresses[family])
        listening.listen()
        listening.setblocking(False)
        address = listening.getsockname()
        lost = asyncio.Event()
        connector = await protocols.serve_ours(hello, listening, lost.set)
        for _ in range(3):
            lost.clear()
            if family == socket.AF_UNIX:
                reader, writer = await asyncio.open_unix_connection(address)
            else:
                reader, writer = await asyncio.open_connection(*address[:2])
            writer.write(GET)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()
            await asyncio.wait_for(lost.wait(), CAP)
            assert not connector.opening

    run(main())


class Turns:
    """What takes so many turns of the event loop, without a future."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __await__(self) -> Generator[None, None, None]:
        for _ in range(self.number):
            yield


class OtherLoop:
    """An event loop whose connections come about in another way than those of asyncio and uvloop."""

    def __init__(self, turns: int, future: bool, error: Exception | None) -> None:
        self.over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._turns, self._future, self._error = turns, future, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def connect_accepted_socket(self, factory: Callable[[], Any], sock: socket.socket, ssl: object = None) -> None:
        await Turns(self._turns)
        if self._future:
            future = self._loop.create_future()
            self._loop.call_soon(future.set_result, None)
            await future
        sock.close()
        self.over.set()
        if self._error is not None:
            raise self._error
        factory()


@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("future", [False, True])
@pytest.mark.parametrize("error", [None, OSError("no more of them")])
def test_a_loop_of_another_kind(turns: int, future: bool, error: Exception | None) -> None:
    async def main() -> None:
        connector, ledger, _ = protocols.connecting(hello)
        connector._loop = loop = OtherLoop(turns, future, error)  # type: ignore[assignment]
        connector.take(socket.socket())
        await asyncio.wait_for(loop.over.wait(), CAP)
        assert not connector.opening
        assert ledger.gate.open == (0 if error else 1)

    asyncio.run(main())
