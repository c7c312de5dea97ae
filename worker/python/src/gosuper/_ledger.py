"""Accounts for every request: on the board, in the access log, against its limits."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Set
from time import monotonic_ns
from typing import cast

from gosuper import _accesslog, _board
from gosuper._accesslog import AccessLog, Entry
from gosuper._board import Board
from gosuper._connection import Connection
from gosuper._deadlines import NEVER, WAITING, Deadlines, Timed
from gosuper._environ import Limits
from gosuper._failures import Failures
from gosuper._gate import Gate
from gosuper._heads import Heads
from gosuper._layout import ENDED, NO_SLOT
from gosuper._notify import Notifier
from gosuper._request import FLAGS, Message, Request, Send

logger = logging.getLogger("gosuper")

RETRY_AFTER = b"5"
"""What a client that was answered with 503 or 504 is told, in seconds."""

IDENTITIES = frozenset({b"x-request-id", b"traceparent"})
"""The headers that name a request."""
_MOST_KNOWN = 256
_NOBODY = object()
_TEXT = {503: b"Service Unavailable\n", 504: b"Gateway Timeout\n"}


class Ledger:
    """The requests of one worker. All but `end` is called by the thread of the event loop.

    A request is finished once: when its response is complete, when the application returns, or when its deadline has
    passed, whichever is first. Two threads may find so: the event loop's, and the guard's while the loop is blocked. It is
    up to the one that takes it off those that are running, which for the guard, and whoever else ends it, means by `end`.
    What the application does after a complete response is background work, without limits.
    """

    def __init__(self, board: Board, gate: Gate, limits: Limits, notify: Notifier, log: AccessLog | None) -> None:
        self.lock = threading.Lock()
        self.board = board
        self.slots = board.slots
        self.gate = gate
        self.limits = limits
        self.closing = limits.keepalive == 0
        """Whether connections end with an answer, when it is their turn; over HTTP/1.1 it carries "Connection: close"."""
        self.cancel_on_disconnect = False
        self.heads = Heads()
        self.knows_heads = False
        """Whether it can be told how the server of connections of ours begins its answers; set before there are any."""
        self.wake_guard: Callable[[], None] = lambda: None
        self.deadlines = Deadlines(limits, self._expire, lambda: self.wake_guard())
        self._claim = self.deadlines.running.pop  # one step for all threads
        self.hastier = [0 < limit < (limits.timeout or NEVER) for limit in (0, limits.stream, limits.upgrade)]
        """For each phase, whether a request may be due earlier when it begins."""
        self._notify = notify
        self._failures = Failures(limits.failures, board, notify) if limits.failures else None
        self._log = log
        self._request, self._requests = limits.request, limits.requests
        self._answers: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._texts: dict[tuple[str, object], bytes] = {}  # of requests without an id

    def begin(self, scope: Message, names: Set[bytes], send: Send, connection: Connection | None = None) -> Request:
        """Account for a request that begins in this task, on a connection of ours or of another server.

        Names are those of its headers, if one of them may name it.
        """
        now = monotonic_ns()
        deadline = now + self._request if self._request else 0
        task = connection.serving if connection is not None else None
        if task is None:
            task = asyncio.current_task(self._loop or self._find_loop())  # to ask for the loop is a system call before 3.12
        texts = None
        if not names or IDENTITIES.isdisjoint(names):
            texts = self._texts.get((scope.get("method", "GET"), scope.get("raw_path")))
        slot = self.slots.take(now, deadline, texts or self._describe(scope))
        request = Request(self, scope, send, now, deadline, task, connection, slot)
        if connection is not None:
            connection.running = request
            connection.served = True
            self.gate.begin(connection.ticket)
        else:
            self.gate.begin(None)
        deadlines = self.deadlines
        deadlines.running[request] = None
        look = now + deadlines.shortest
        if look < deadlines.at:
            deadlines.arm(look)
        if self.slots.started == self._requests:
            self._notify.recycle("max_requests")
        if self.board.busy_at:
            self._notify.busy(self.board)
        return request

    def completed(self, request: Request) -> None:
        """The response is complete.

        What fails is answered with 500 by the frameworks, which raise again what it was at once, so that the server hears
        of it: such a request has until the next turn of the event loop.
        """
        if request.status == 500:
            request.complete = True
            asyncio.get_running_loop().call_soon(self.finish, request)
        else:
            self.finish(request)

    def finish(self, request: Request, ending: str = _accesslog.OK) -> None:
        """The response is complete or the application has returned; only the first call counts."""
        if request.finished:
            return
        request.finished = True
        if self._claim(request, _NOBODY) is not _NOBODY:
            if request.gone:
                ending = _accesslog.CLIENT_GONE
                request.telling = False
            elif ending == _accesslog.PANIC and request.phase == WAITING:
                request.replaced()
            now = self.slots.finish(request.slot, request.status, request.start)
            request.slot = NO_SLOT  # it may be another's from here on
            if self._log is not None:
                with self.lock:
                    self._write(self._log, request, ending, now)
            if self._failures is not None and request.telling and (request.status >= 500 or ending == _accesslog.OK):
                # A response that was broken off is neither good nor bad.
                self._failures.judge(request.start, request.status, _asked(request.scope))
        else:
            with self.lock:  # whoever has ended it is through then
                self.slots.free(request.slot)
                request.slot = NO_SLOT
        self.gate.finish()
        connection = request.connection
        if connection is not None and connection.running is request:
            connection.running = None

    def lost(self, request: Request) -> None:
        """The client of a request that is not finished has hung up."""
        request.gone = True
        if self.cancel_on_disconnect and request.task is not None and not request.ended:
            request.task.cancel()

    def end(self, request: Request, status: int, ending: str) -> bool:
        """Take a request away from its application, and report whether it was still there; by any thread.

        The status is what its client gets if nothing was sent. The caller answers or cuts it.
        """
        with self.lock:
            if request.complete or self._claim(request, _NOBODY) is _NOBODY:
                return False
            request.ended = True
            if request.held and self.heads.take(request):
                request.phase, request.first = WAITING, 0  # nothing of it was written, nor will be
            if ending == _accesslog.TIMEOUT:
                self.board.timed_out()
            if request.slot == NO_SLOT:
                request.slot = self.slots.take_overdue(
                    request.start, request.progress, request.deadline, FLAGS[request.phase], self._describe(request.scope)
                )
            else:
                self.slots.mark(request.slot, ENDED)
            if request.phase == WAITING:
                request.status = status
            now = self.slots.finish(NO_SLOT, request.status, request.start)
            if self._log is not None:
                self._write(self._log, request, ending, now)
        return True

    def terminate(self, request: Request, status: int, ending: str) -> None:
        """End a request at once: answered if nothing was sent, else cut; the application is cancelled."""
        if not self.end(request, status, ending):
            return
        if request.phase == WAITING and not request.gone:
            self._reply(request)
        elif request.transport is not None and request.scope.get("http_version") != "2":
            request.transport.abort()
        if request.task is not None:
            request.task.cancel()

    def ended_elsewhere(self, request: Request) -> None:
        """The guard has ended a request; the event loop does the rest when it is back."""
        if request.scope.get("http_version") == "2":
            if request.phase == WAITING and not request.gone and not request.finished:
                self._reply(request)
        elif request.transport is not None:
            request.transport.abort()
        if request.task is not None and not request.finished:
            request.task.cancel()

    async def answer(self, request: Request) -> None:
        """Answer a request in its application's place, unless that was done; it was ended with nothing sent."""
        if request.first:
            return
        request.first = monotonic_ns()
        kind = "websocket.http.response" if request.scope["type"] == "websocket" else "http.response"
        headers = status_headers(request.status)
        if request.scope.get("http_version") == "2":
            headers.pop()
        body = status_text(request.status)
        try:
            await request.raw_send({"type": kind + ".start", "status": request.status, "headers": headers})
            await request.raw_send({"type": kind + ".body", "body": body, "more_body": False})
        except Exception:
            if request.transport is not None:
                request.transport.abort()

    def _reply(self, request: Request) -> None:
        task = asyncio.get_running_loop().create_task(self.answer(request))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    def _expire(self, timed: Timed) -> None:
        request = cast(Request, timed)
        connection = request.connection
        if request.phase != WAITING and connection is not None and connection.delivered():
            request.touch()
            return
        logger.warning("%s was ended at its limit after %.3f s", describe(request), _age(request))
        self.terminate(request, 504, _accesslog.TIMEOUT)

    def _write(self, log: AccessLog, request: Request, ending: str, now: int) -> None:
        if not log.write(_entry(request, request.status, ending, now)):
            self.board.log_dropped()

    def _describe(self, scope: Message) -> bytes:
        """What the board says of a request, kept for the next one that is the same."""
        method, path, ident = _texts(scope)
        texts = _board.texts(method, path, ident)
        if not ident and "raw_path" in scope:
            if len(self._texts) >= _MOST_KNOWN:
                self._texts.clear()
            self._texts[scope.get("method", "GET"), scope["raw_path"]] = texts
        return texts

    def _find_loop(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        return self._loop


def describe(request: Request) -> str:
    """Method and path of a request, for a line of the log."""
    method, path, ident = (text.decode("ascii", "replace") for text in _texts(request.scope))
    return f"{method} {path!r}" + (f" ({ident!r})" if ident else "")


def status_headers(status: int, retry_after: bytes = RETRY_AFTER) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that stands for the application's."""
    return [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_TEXT[status])).encode()),
        (b"retry-after", retry_after),
        (b"connection", b"close"),
    ]


def status_text(status: int) -> bytes:
    """The body that belongs to status_headers."""
    return _TEXT[status]


def _entry(request: Request, status: int, ending: str, now: int) -> Entry:
    scope = request.scope
    headers = dict(scope["headers"])
    query = scope.get("query_string", b"")
    target = _path(scope)
    instead = request.ended and request.phase == WAITING and not request.gone  # status_text was sent
    first = request.first or (now if instead else 0)
    bodiless = scope.get("method") == "HEAD" or status in (204, 304)  # whatever was sent
    return Entry(
        remote=scope["client"][0] if scope.get("client") else "",
        method=scope.get("method", "GET"),
        target=target + b"?" + query if query else target,
        proto="HTTP/" + scope.get("http_version", "1.1"),
        status=int(status) if 0 < status < 1000 else 0,  # enumerations write themselves by their names
        size=0 if bodiless else len(_TEXT[status]) if instead else request.bytes,
        referer=headers.get(b"referer", b""),
        agent=headers.get(b"user-agent", b""),
        request_id=headers.get(b"x-request-id") or headers.get(b"traceparent", b""),
        duration=now - request.start,
        first_byte=first - request.start if first else -1,
        ended=ending,
    )


def _age(request: Request) -> float:
    return (monotonic_ns() - request.start) / 1e9


def _path(scope: Message) -> bytes:
    raw = scope.get("raw_path")
    return raw if isinstance(raw, bytes) else str(scope["path"]).encode()


def _asked(scope: Message) -> bytes:
    """The path as the client has sent it, before which ASGI has that under which the application is to be found."""
    return _path(scope).removeprefix(str(scope.get("root_path", "")).encode())


def _texts(scope: Message) -> tuple[bytes, bytes, bytes]:
    headers = dict(scope["headers"])
    ident: bytes = headers.get(b"x-request-id") or headers.get(b"traceparent", b"")
    return scope.get("method", "GET").encode(), _path(scope), ident
