"""Makes connections of accepted sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
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
        self.opening: set[Connection] = set()
        """The connections that are not there yet."""
        self._make = make
        self._ledger = ledger
        self._tls = tls
        self._backlog = ledger.limits.backlog
        self._loop = asyncio.get_running_loop()

    def take(self, sock: socket.socket) -> None:
        """Have a socket be a connection."""
        connection = self._make(LazyLoop(self._loop))
        connection.ticket = object()
        if self._backlog and waited(sock) > self._backlog:
            connection.stale = True
        self._ledger.board.accepted()
        self._ledger.gate.admit(connection.ticket)
        self.opening.add(connection)
        coroutine = self._loop.connect_accepted_socket(lambda: connection, sock, ssl=self._tls)
        if self._tls is None:
            self._step(connection, coroutine)
            return
        task = self._loop.create_task(coroutine)
        task.add_done_callback(partial(self._opened, connection))

    def _step(self, connection: Connection, coroutine: Coroutine[Any, Any, Any], _: object = None) -> None:
        """Run a coroutine that waits for futures, as those of event loops do here, until it ends.

        A task would do the same, and cost as much as the connection itself.
        """
        try:
            future = coroutine.send(None)
        except StopIteration:
            self.opening.discard(connection)
        except BaseException as error:
            self._failed(connection)
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
        else:
            if future is None:
                self._loop.call_soon(self._step, connection, coroutine)
            else:
                future._asyncio_future_blocking = False  # which asks whoever runs the coroutine whether it has seen it
                future.add_done_callback(partial(self._step, connection, coroutine))

    def _opened(self, connection: Connection, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failed(connection)  # the handshake has failed
        self.opening.discard(connection)

    def _failed(self, connection: Connection) -> None:
        self.opening.discard(connection)
        connection.forget()
