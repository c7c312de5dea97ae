"""One request of an ASGI application, from its start to its end."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from gosuper import _layout
from gosuper._deadlines import STREAMING, UPGRADED, WAITING
from gosuper._heads import CHUNKS, KNOWN_CHUNKS, takes_chunks, write_head, write_last

if TYPE_CHECKING:
    from gosuper._connection import Connection
    from gosuper._ledger import Ledger

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Message], Awaitable[None]]

_CLOSE = (b"connection", b"close")
FLAGS = (0, _layout.STREAMING, _layout.UPGRADED)
"""What the board says of each phase."""


class Request:
    """What the ledger knows of a request. Its send is the one that the application gets.

    Times are CLOCK_MONOTONIC nanoseconds.
    """

    raw_receive: Receive
    """Set for receive."""
    # What most requests never change, or only once: to store each for each request takes longer.
    phase = WAITING
    status = 0
    bytes = 0
    """Of the body sent."""
    first = 0
    """When the response began, 0 before."""
    ended = False
    """By the worker, whatever the application does."""
    finished = False
    """The response is complete, or the application has returned."""
    complete = False
    """The response is complete; how the application ends is still to be seen."""
    gone = False
    """The client has hung up."""
    telling = True
    """Whether the answer says something of the application."""
    held = False
    """The head of the answer may wait for what follows."""
    # The server's own state of the answer, where that is known; and while its parts are chunks also what they take.
    _cycle: Any = None
    _chunks: tuple[Any, Any, Any] | None = None

    def __init__(
        self,
        ledger: Ledger,
        scope: Message,
        send: Send,
        start: int,
        deadline: int,
        task: asyncio.Task[Any] | None,
        connection: Connection | None,
        slot: int,
    ) -> None:
        self.ledger = ledger
        self.scope = scope
        self.raw_send = send
        self.start = self.progress = start
        self.deadline = deadline
        self.task = task
        self.connection = connection
        self.slot = slot
        if ledger.knows_heads and connection is not None:
            self._cycle = send.__self__  # type: ignore[attr-defined]

    @property
    def transport(self) -> asyncio.Transport | None:
        """That of its connection, as far as it is known."""
        if self.connection is not None:
            return self.connection.transport
        return getattr(getattr(self.raw_send, "__self__", None), "transport", None)

    def touch(self) -> None:
        """Record progress."""
        self.progress = self.ledger.slots.progress(self.slot)

    def forgive(self, progress: int) -> None:
        """Have its time without progress begin so much later, also for the master, unless it has been ended."""
        if not self.ended:
            self.progress = self.ledger.slots.progress(self.slot, progress)

    def flush(self) -> None:
        """Write the head of the answer, if that is still to be done."""
        if self.held:
            self.held = False
            write_head(self._cycle, self.ledger.heads.take(self))

    def replaced(self) -> None:
        """Note what the server says in place of an application that has begun no answer; of another than ours that is
        not known."""
        self.status = 500
        if self.connection is not None:
            self.bytes = len(b"Internal Server Error")
            self.first = monotonic_ns()

    async def receive(self) -> Any:
        """Take what raw_receive brings for progress, where nobody else tells of it."""
        message = await self.raw_receive()
        self.touch()
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the application on, unless the request has been ended.

        What the server would make of it is written at once where that is known. A write that has to wait is progress
        again when it goes on, as its connection says.
        """
        if self.ended:
            return
        kind = message["type"]
        if kind == "http.response.body":
            body = message.get("body", b"")
            head = b""
            if self.held:
                self.held = False
                head = self.ledger.heads.take(self)
                if self.ended:
                    return
                if type(body) is not bytes:
                    write_head(self._cycle, head)
                    head = b""
            if message.get("more_body", False):
                # What touch does, and the write of a chunk, without a call: each token takes this way.
                self.progress = self.ledger.slots.progress(self.slot)
                size = len(body)
                self.bytes += size
                if size and self._chunks is not None:
                    cycle, flow, write = self._chunks
                    if not flow.write_paused and not cycle.disconnected:
                        write(head + (CHUNKS[size] if size < KNOWN_CHUNKS else b"%x\r\n" % size) + body + b"\r\n")
                        return
                if head:
                    write_head(self._cycle, head)
                await self.raw_send(message)
                return
            self._chunks = None
            if self.gone or self.connection is None or not self.connection.completes:
                write_head(self._cycle, head)
                await self.raw_send(message)
                self.bytes += len(body)
                self.ledger.completed(self)
                return
            self.bytes += len(body)
            if self._cycle is None or not write_last(self._cycle, head, body):
                write_head(self._cycle, head)
                await self.raw_send(message)
        elif kind == "http.response.start":
            if not self._begin(message["status"], STREAMING):
                return
            ledger, cycle = self.ledger, self._cycle
            if cycle is None or ledger.closing or not ledger.heads.begin(self, cycle, message):
                await self._send_head(message)
            if cycle is not None and cycle.chunked_encoding and takes_chunks(cycle):
                self._chunks = cycle, cycle.flow, cycle.transport.write
        else:
            await self._send_other(kind, message)

    async def _send_head(self, message: Message) -> None:
        connection = self.connection
        if connection.ends() if connection is not None else self.ledger.closing:
            await self.raw_send({**message, "headers": [*message.get("headers", ()), _CLOSE]})
        elif self._cycle is None or self.ledger.closing:
            await self.raw_send(message)
        else:
            await self.ledger.heads.learn(self, self._cycle, self.raw_send, message)

    async def _send_other(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            if not self._begin(101, UPGRADED):
                return
        elif kind == "websocket.close" and self.phase == WAITING:
            self._begin(403, STREAMING)
        elif kind == "websocket.http.response.start":
            self._begin(message["status"], STREAMING)
        self.touch()
        self.flush()
        await self.raw_send(message)

    def _begin(self, status: object, phase: int) -> bool:
        """Note that the response begins, unless the request has been ended meanwhile."""
        if self.ended:
            return False
        # Without a lock: whoever ends the request says so first, and then looks at the phase. So it may happen that a
        # request is cut that was not begun, but not that one is begun that was answered.
        self.phase = phase
        if self.ended:
            return False
        self.status = status if isinstance(status, int) else _number(status)
        ledger = self.ledger
        self.progress = self.first = ledger.slots.flag(self.slot, FLAGS[phase])
        if ledger.hastier[phase]:
            ledger.deadlines.look(self)
        return True


def _number(status: object) -> int:
    """The status of a type of its own, as those of numpy are, for servers that take it; 0 for what is none."""
    try:
        return operator.index(status)  # type: ignore[arg-type]
    except TypeError:
        return int(status) if isinstance(status, float) and status.is_integer() else 0
