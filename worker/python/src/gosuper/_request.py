"""One request of an ASGI application, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from gosuper._deadlines import STREAMING, UPGRADED, WAITING

if TYPE_CHECKING:
    from gosuper._connection import Connection
    from gosuper._ledger import Ledger

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Message], Awaitable[None]]

_CLOSE = (b"connection", b"close")


class Request:
    """What the ledger knows of a request. Its send is the one that the application gets.

    Two threads may end a request: the event loop's, and the guard's while the loop is blocked. Whoever changes `ended` or
    `finished` holds the ledger's lock. Times are CLOCK_MONOTONIC nanoseconds.
    """

    __slots__ = (
        "bytes",
        "connection",
        "deadline",
        "ended",
        "finished",
        "first",
        "gone",
        "ledger",
        "phase",
        "progress",
        "raw_send",
        "scope",
        "slot",
        "start",
        "status",
        "task",
        "transport",
    )

    def __init__(
        self,
        ledger: Ledger,
        scope: Message,
        send: Send,
        now: int,
        deadline: int,
        task: asyncio.Task[Any] | None,
        connection: Connection | None,
        transport: asyncio.Transport | None,
    ) -> None:
        self.ledger = ledger
        self.scope = scope
        self.raw_send = send
        self.start = self.progress = now
        self.deadline = deadline
        self.task = task
        self.connection = connection
        self.transport = transport
        self.slot = -1
        self.phase = WAITING
        self.status = 0
        self.bytes = 0  # of the body sent
        self.first = 0  # when the response began, 0 before
        self.ended = False  # by the worker, whatever the application does
        self.finished = False  # the response is complete, or the application has returned
        self.gone = False  # the client has hung up

    def touch(self) -> None:
        """Record progress."""
        self.progress = now = monotonic_ns()
        self.ledger.board.progress(self.slot, now)

    def forgive(self, progress: int) -> None:
        """Have its time without progress begin so much later, also for the master, unless it has been ended."""
        if not self.ended:
            self.progress = progress
            self.ledger.board.progress(self.slot, progress)

    def replaced(self) -> None:
        """Note what the server says in place of an application that has begun no answer; of another than ours that is
        not known."""
        self.status = 500
        if self.connection is not None:
            self.bytes = len(b"Internal Server Error")
            self.first = monotonic_ns()

    def receiving(self, receive: Receive) -> Receive:
        """A receive for the application that takes what it brings for progress, where nobody else tells of it."""

        async def received() -> Any:
            message = await receive()
            self.touch()
            return message

        return received

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message of the application on, unless the request has been ended.

        What is to be noted is noted at the call, and what comes back is the server's own coroutine: one of ours around
        it would cost every message its frame. A write that has to wait is progress again when it goes on, as its
        connection says.
        """
        kind = message["type"]
        if kind == "http.response.body":
            if not message.get("more_body", False):
                return self._last(message)
            if self.ended:
                return _nothing()
            self.bytes += len(message.get("body", b""))
            self.touch()
            return self.raw_send(message)
        if kind == "http.response.start":
            if not self._begin(message["status"], STREAMING):
                return _nothing()
            if self.ledger.closing:
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            return self.raw_send(message)
        return self._send_other(kind, message)

    async def _last(self, message: Message) -> None:
        if not self.ended:
            await self.raw_send(message)
            self.bytes += len(message.get("body", b""))
            self.ledger.finish(self)

    def _send_other(self, kind: str, message: Message) -> Awaitable[None]:
        if kind == "websocket.accept":
            if not self._begin(101, UPGRADED):
                return _nothing()
        elif self.ended:
            return _nothing()
        elif kind == "websocket.close" and self.phase == WAITING:
            self._begin(403, STREAMING)
        elif kind == "websocket.http.response.start":
            self._begin(message["status"], STREAMING)
        self.touch()
        return self.raw_send(message)

    def _begin(self, status: int, phase: int) -> bool:
        """Note that the response begins, unless the request has been ended meanwhile."""
        if self.ended:
            return False
        # Without a lock: whoever ends the request says so first, and then looks at the phase. So it may happen that a
        # request is cut that was not begun, but not that one is begun that was answered.
        self.phase = phase
        if self.ended:
            return False
        self.status = status
        self.progress = self.first = now = monotonic_ns()
        self.ledger.begun(self, phase, now)
        return True


async def _nothing() -> None:
    """What becomes of a message that nobody is to have."""
