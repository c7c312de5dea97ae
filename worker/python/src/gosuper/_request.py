"""One request of an ASGI application, from its start to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from gosuper._deadlines import STREAMING, UPGRADED, WAITING

if TYPE_CHECKING:
    from gosuper._connection import Connection
    from gosuper._ledger import Ledger

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_CLOSE = (b"connection", b"close")


class Request:
    """What the ledger knows of a request. Its send is the one that the application gets.

    Two threads may end a request: the event loop's, and the guard's while the loop is blocked. Whoever changes `phase`,
    `ended` or `finished` holds the ledger's lock.
    """

    deadline = 0
    phase = WAITING
    slot = -1
    status = 0
    bytes = 0
    """Of the body sent."""
    first = 0
    """When the response began, 0 before."""
    ended = False
    """By the worker, whatever the application does."""
    finished = False
    """The response is complete, or the application has returned."""
    gone = False
    """The client has hung up."""
    task: asyncio.Task[Any] | None = None
    transport: asyncio.Transport | None = None
    connection: Connection | None = None

    def __init__(self, ledger: Ledger, scope: Message, send: Send, now: int) -> None:
        self.ledger = ledger
        self.scope = scope
        self.raw_send = send
        self.start = self.progress = now

    def touch(self) -> None:
        """Record progress."""
        self.progress = now = time.monotonic_ns()
        self.ledger.board.progress(self.slot, now)

    async def send(self, message: Message) -> None:
        """Pass a message of the application on, unless the request has been ended."""
        kind = message["type"]
        if kind == "http.response.body":
            if self.ended:
                return
            await self.raw_send(message)
            self.bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.ledger.finish(self)
                return
        elif kind == "http.response.start":
            if not self._begin(message["status"], STREAMING):
                return
            if self.ledger.closing:
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            await self.raw_send(message)
            return
        elif kind == "websocket.accept":
            if not self._begin(101, UPGRADED):
                return
            await self.raw_send(message)
        elif self.ended:
            return
        else:
            if kind == "websocket.close" and self.phase == WAITING:
                self._begin(403, STREAMING)
            elif kind == "websocket.http.response.start":
                self._begin(message["status"], STREAMING)
            await self.raw_send(message)
        self.touch()

    def _begin(self, status: int, phase: int) -> bool:
        """Note that the response begins, unless the request has been ended meanwhile."""
        ledger = self.ledger
        with ledger.lock:
            if self.ended:
                return False
            self.phase = phase
            self.status = status
        self.progress = self.first = time.monotonic_ns()
        ledger.begun(self)
        return True
