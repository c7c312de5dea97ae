"""One request of an ASGI application, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from gosuper import _board
from gosuper._deadlines import STREAMING, UPGRADED, WAITING

if TYPE_CHECKING:
    from gosuper._connection import Connection
    from gosuper._ledger import Ledger

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Message], Awaitable[None]]

_CLOSE = (b"connection", b"close")
FLAGS = (0, _board.STREAMING, _board.UPGRADED)
"""What the board says of each phase."""


class Request:
    """What the ledger knows of a request. Its send is the one that the application gets.

    Two threads may end a request: the event loop's, and the guard's while the loop is blocked. Whoever changes `ended` or
    `finished` holds the ledger's lock. Times are CLOCK_MONOTONIC nanoseconds.
    """

    telling = True
    """Whether the answer says something of the application."""

    def __init__(
        self,
        ledger: Ledger,
        scope: Message,
        send: Send,
        start: int,
        deadline: int,
        task: asyncio.Task[Any] | None,
        connection: Connection | None,
    ) -> None:
        self.ledger = ledger
        self.scope = scope
        self.raw_send = send
        self.start = self.progress = start
        self.deadline = deadline
        self.task = task
        self.connection = connection
        self.phase = WAITING
        self.slot = _board.NO_SLOT
        self.status = 0
        self.bytes = 0
        """Of the body sent."""
        self.first = 0
        """When the response began, 0 before."""
        self.ended = False
        """By the worker, whatever the application does."""
        self.finished = False
        """The response is complete, or the application has returned."""
        self.complete = False
        """The response is complete; how the application ends is still to be seen."""
        self.gone = False
        """The client has hung up."""
        self.chunked: Any = None
        """The server's state of a response whose parts are chunks that may be written as they come, False if they may
        not, None before the first."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """That of its connection, as far as it is known."""
        if self.connection is not None:
            return self.connection.transport
        return getattr(getattr(self.raw_send, "__self__", None), "transport", None)

    def touch(self) -> None:
        """Record progress."""
        self.progress = self.ledger.board.progressed[self.slot][0] = monotonic_ns()

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
            if self.ended:
                return nothing()
            body = message.get("body", b"")
            if message.get("more_body", False):
                # A token takes this way: what touch does, and the write itself, without a call.
                self.progress = self.ledger.board.progressed[self.slot][0] = monotonic_ns()
                self.bytes += len(body)
                if (cycle := self.chunked) is None:
                    heads = self.connection.heads if self.connection is not None else None
                    cycle = self.chunked = heads is not None and heads.chunked(self.raw_send)
                if cycle and body and not cycle.flow.write_paused and not cycle.disconnected:
                    cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
                    return nothing()
                return self.raw_send(message)
            self.chunked = False
            if self.gone or self.connection is None or not self.connection.completes:
                return self._last(message)
            self.bytes += len(body)
            return self.raw_send(message)
        if kind == "http.response.start":
            if not self._begin(message["status"], STREAMING):
                return nothing()
            if self.ledger.closing:
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            elif self.connection is not None and (heads := self.connection.heads) is not None:
                return heads.send(self.raw_send, message)
            return self.raw_send(message)
        return self._send_other(kind, message)

    async def _last(self, message: Message) -> None:
        if not self.ended:
            await self.raw_send(message)
            self.bytes += len(message.get("body", b""))
            self.ledger.completed(self)

    def _send_other(self, kind: str, message: Message) -> Awaitable[None]:
        if kind == "websocket.accept":
            if not self._begin(101, UPGRADED):
                return nothing()
        elif self.ended:
            return nothing()
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
        ledger = self.ledger
        ledger.board.begun(self.slot, FLAGS[phase], now)
        if ledger.hastier[phase]:
            ledger.deadlines.look(self)
        return True


async def nothing() -> None:
    """What a message comes to that nobody is to have, or that is on its way already."""
