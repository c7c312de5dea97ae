"""Protocol classes without a network: uvicorn's own, and this package's over the same one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from gosuper._accept import Listener
from gosuper._board import Board
from gosuper._connect import Connector
from gosuper._connection import Hooks
from gosuper._environ import Limits
from gosuper._fleet import Fleet
from gosuper._gate import Gate
from gosuper._keepalive import LazyLoop
from gosuper._ledger import Ledger
from gosuper._notify import Notifier
from gosuper._spread import Spread
from gosuper._uvicorn import Config

DATE = (b"date", b"Sat, 28 Nov 2026 20:00:00 GMT")


class Transport:
    """One that keeps what is written until it is closed."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name)

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def theirs(app: Any) -> Any:
    """A connection of uvicorn."""
    return _connect(_theirs(app)(_loop=asyncio.get_running_loop()))


def ours(app: Any, failures: int = 0, notify: Any = None, **options: Any) -> Any:
    """A connection of this package, with the limits that a worker has by default."""
    make, ledger, _ = _ours(app, failures, notify, **options)
    connection = make(_loop=LazyLoop(asyncio.get_running_loop()))
    connection.ticket = object()
    ledger.board.accepted()
    ledger.gate.admit(connection.ticket)
    return _connect(connection)


async def serve_theirs(app: Any, sock: socket.socket) -> None:
    """Have uvicorn take connections from a socket."""
    await asyncio.get_running_loop().create_server(_theirs(app), sock=sock)


async def serve_ours(app: Any, sock: socket.socket, lost: Callable[[], None] = lambda: None) -> Connector:
    """Have this package do so, as one of two workers that are as busy."""
    connector, ledger, fleet = connecting(app, lost)
    Gate(1000, fleet, 1, 2).present(True)
    ledger.gate.present(True)
    Listener(sock, ledger.gate, Spread(fleet, 0), connector.take, held=False)
    return connector


def connecting(app: Any, lost: Callable[[], None] = lambda: None) -> tuple[Connector, Ledger, Fleet]:
    """What makes connections of sockets, for the event loop that runs."""
    make, ledger, fleet = _ours(app, lost=lost)
    return Connector(lambda loop: make(_loop=loop), ledger), ledger, fleet


def _theirs(app: Any) -> Any:
    config = uvicorn.Config(app, access_log=False, log_level="critical", http="httptools")
    return _maker(config)


def _ours(
    app: Any, failures: int = 0, notify: Any = None, lost: Callable[[], None] = lambda: None, **options: Any
) -> tuple[Any, Ledger, Fleet]:
    config = Config(app, access_log=False, log_level="critical", **{"http": "httptools", **options})
    config.load()
    limits = Limits(timeout=120_000_000_000, stream=120_000_000_000, failures=failures, connections=1000)
    fleet = Fleet(bytearray(4096))
    ledger = Ledger(Board.unshared(), Gate(1000, fleet, 0, 1), limits, notify or Notifier(), None)
    config.account(ledger, {"draining": None, "deadline": None}, Hooks(lambda: None, lost))
    return _maker(config), ledger, fleet


def _maker(config: uvicorn.Config) -> Any:
    if not config.loaded:
        config.load()
    state = ServerState()
    state.default_headers = [DATE, *config.encoded_headers]
    protocol: Any = config.http_protocol_class
    return partial(protocol, config=config, server_state=state, app_state={})


def _connect(connection: Any) -> Any:
    connection.connection_made(Transport())
    return connection


async def ask(connection: Any, request: bytes) -> bytes:
    """What becomes of a request."""
    written = connection.transport.written
    written.clear()
    connection.data_received(request)
    while connection.tasks:
        await asyncio.sleep(0)
    return b"".join(written)
