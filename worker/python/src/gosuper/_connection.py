"""What is known of one connection, as mixins of a server's protocol classes."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, ClassVar, cast

from gosuper._keepalive import LazyLoop

if TYPE_CHECKING:
    import uvicorn

    from gosuper._ledger import Ledger
    from gosuper._request import Request
    from gosuper.asgi import Accounting, Application

    class _Base(asyncio.Protocol):
        """What the mixins expect of a server's protocol class."""

        app: Application | None
        config: uvicorn.Config
        cycle: Any
        loop: Any
        tasks: set[asyncio.Task[Any]]

        def _start_asgi_task(self, cycle: Any, app: Application) -> None: ...
        def on_body(self, body: bytes) -> None: ...
        def send_400_response(self, msg: str) -> None: ...
        def on_response_complete(self) -> None: ...
        def timeout_keep_alive_handler(self) -> None: ...
        def shutdown(self) -> None: ...
else:
    _Base = object

_LAST_DATA_RECEIVED = struct.Struct("=52xI")  # of tcp_info, milliseconds
_BYTES_ACKED = struct.Struct("=120xQ")
_BYTES_RECEIVED = struct.Struct("=128xQ")


@dataclass(frozen=True)
class Hooks:
    """What a server has called by its connections."""

    answering: Callable[[], None]
    """Before something is answered that is not the application's."""
    lost: Callable[[], None]
    """After a connection is gone."""


class Connection(_Base):
    """A connection that the ledger and the gate know. It comes before the server's own protocol class."""

    ledger: ClassVar[Ledger]
    accounting: ClassVar[Accounting]
    hooks: ClassVar[Hooks]
    running: Request | None = None
    """The request that is running on it."""
    serving: asyncio.Task[Any] | None = None
    """The task that serves the request that begins, where that is known."""
    served = False
    """Whether it has ever sent a request."""
    plain: ClassVar[bool] = True
    """Whether an answer may be written to the socket as it is, over HTTP/1.1."""
    completes: ClassVar[bool] = False
    """Whether it says when an answer is sent completely, of the request that is running."""
    turn = 0
    """From when on an answer is its last, if answers are that, in CLOCK_MONOTONIC nanoseconds."""
    stale = False
    """Whether its first request has waited in the queue of the socket for too long."""
    transport: asyncio.Transport
    _acked = 0
    _lost: asyncio.Event | None = None
    _is_lost = False

    ticket: object = None
    """What the gate knows it by."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Account for what the server has the application do."""
        self.app = partial(self.accounting.serve, self)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        """From here on what the kernel delivers is progress too."""
        self._acked = _acked(self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        """A write that has waited goes on."""
        if self.running is not None:
            self.running.touch()
        super().resume_writing()

    def delivered(self) -> bool:
        """Whether the client has taken something of what waits to be sent, since this was last asked."""
        if self.transport.get_write_buffer_size() == 0:
            return False
        before, self._acked = self._acked, _acked(self.transport)
        return before != self._acked

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and nothing of it counts any more."""
        self._is_lost = True
        if self.running is not None:
            self.ledger.lost(self.running)
        super().connection_lost(exc)
        self.forget()
        self.release()
        if self._lost is not None:
            self._lost.set()

    def forget(self) -> None:
        """Take the connection off all counts."""
        self.ledger.board.closed()
        self.ledger.gate.forget(self.ticket)
        self.hooks.lost()

    def release(self) -> None:
        """Give up what refers back to the connection: only the garbage collector would free it, with all that it has."""
        self.app = None

    def announce_end(self) -> None:
        """Tell the client that the connection is to end, where that can be said before the next answer."""

    def ends(self) -> bool:
        """Whether the answer that begins is its last."""
        return self.ledger.closing and monotonic_ns() >= self.turn

    async def wait_lost(self) -> None:
        """Wait until the connection is gone."""
        if not self._is_lost:
            self._lost = self._lost or asyncio.Event()
            await self._lost.wait()


class AnyProgress(_Base):
    """A connection on which whatever arrives is progress of the request under way."""

    running: Request | None

    def data_received(self, data: bytes) -> None:
        """Record progress."""
        if self.running is not None:
            self.running.touch()
        super().data_received(data)


class BodyProgress(_Base):
    """A connection whose parser tells of each part of a body: requests without one cost nothing."""

    running: Request | None

    def on_body(self, body: bytes) -> None:
        """Record progress."""
        if self.running is not None:
            self.running.touch()
        super().on_body(body)


class HTTPConnection(Connection):
    """A connection that speaks HTTP."""

    def release(self) -> None:
        """Give the timer back too."""
        super().release()
        if isinstance(self.loop, LazyLoop):
            self.loop.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request."""
        self.hooks.answering()
        super().send_400_response(msg)

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless a request has just arrived on it."""
        if not _pending(self.transport):
            super().timeout_keep_alive_handler()


class HTTP1Connection(HTTPConnection):
    """A connection that speaks HTTP/1.1: one request after the other."""

    completes = True

    def connection_lost(self, exc: Exception | None) -> None:
        """A client that hangs up when it has all of its answer has not gone away from the request."""
        request = self.running
        if request is not None and not request.ended and _answered(self.cycle):
            self.ledger.finish(request)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Finish the request before the next one begins, unless what is complete is an answer in its place."""
        request = self.running
        if request is not None and not request.ended:
            self.ledger.completed(request)
        super().on_response_complete()


class TaskStarter(_Base):
    """A connection of a server that starts the task of a request by a method of its own, which is this one."""

    serving: asyncio.Task[Any] | None

    def _start_asgi_task(self, cycle: Any, app: Application) -> None:
        """Have a task serve a request. It says itself when it is over: to be called back costs each another turn."""
        self.serving = None
        if app is not self.app or self.config.reset_contextvars:
            super()._start_asgi_task(cycle, app)
            return
        task = self.loop.create_task(cycle.run_asgi(app))
        if not task.done():  # as one that is run at once may be, see asyncio.eager_task_factory
            self.tasks.add(task)
            self.serving = task


class WebSocketConnection(AnyProgress, Connection):
    """A connection that an HTTP one has become."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the HTTP connection."""
        before = cast(Connection, cast(asyncio.Transport, transport).get_protocol())
        self.ticket = before.ticket
        self.stale = before.stale
        self.served = True
        super().connection_made(transport)
        before.release()


def _answered(cycle: Any) -> bool:
    """Whether all that the head of an answer has announced is sent, though the application has not said that it ends,
    as one of WSGI may do in its own time."""
    if not cycle.response_started:
        return False
    whole: bool = (
        cycle.response_complete
        or cycle.scope["method"] == "HEAD"
        or (
            # httptools alone tells, where there is a Content-Length.
            getattr(cycle, "chunked_encoding", None) is False and cycle.expected_content_length == 0
        )
    )
    return whole


def waited(sock: socket.socket) -> int:
    """For how long a request has waited on a connection that has just been accepted, in nanoseconds.

    It is 0 where nothing was sent yet and where that is not known, as on unix sockets. The kernel knows when data last
    came in (tcpi_last_data_recv, tcp(7)); a client that goes on sending has waited for longer, and gets served.
    """
    info = _tcp_info(sock)
    if len(info) < _BYTES_RECEIVED.size or _BYTES_RECEIVED.unpack_from(info)[0] == 0:
        return 0
    return int(_LAST_DATA_RECEIVED.unpack_from(info)[0]) * 1_000_000


def _acked(transport: asyncio.Transport) -> int:
    info = _tcp_info(transport.get_extra_info("socket"))
    return int(_BYTES_ACKED.unpack_from(info)[0]) if len(info) >= _BYTES_ACKED.size else 0


def _tcp_info(sock: Any) -> bytes:
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    except (OSError, AttributeError):
        return b""
    return bytes(info)


def _pending(transport: asyncio.Transport) -> bool:
    sock = transport.get_extra_info("socket")
    try:
        return sock is not None and struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0] > 0
    except OSError:
        return False
