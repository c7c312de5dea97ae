"""Makes connections of accepted sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from gosuper._connection import Connection, waited
from gosuper._keepalive import LazyLoop
from gosuper._ledger import Ledger


class Connector:
    """Gives accepted sockets to the event loop, each with a connection that counts."""

    def __init__(
        self,
        make: Callable[[LazyLoop], Connection],
        ledger: Ledger,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.opening: set[asyncio.Task[Any]] = set()
        """The connections that are not there yet."""
        self._make = make
        self._ledger = ledger
        self._tls = tls
        self._loop = asyncio.get_running_loop()

    def take(self, sock: socket.socket) -> None:
        """Have a socket be a connection."""
        backlog = self._ledger.limits.backlog
        connection = self._make(LazyLoop(self._loop))
        connection.ticket = object()
        connection.stale = backlog > 0 and waited(sock) > backlog
        self._ledger.board.accepted()
        self._ledger.gate.admit(connection.ticket)
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: connection, sock, ssl=self._tls))
        self.opening.add(task)

        def opened(task: asyncio.Task[Any]) -> None:
            self.opening.discard(task)
            if not task.cancelled() and task.exception() is not None:
                connection.forget()  # the handshake has failed

        task.add_done_callback(opened)
