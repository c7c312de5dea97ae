"""A thread that answers for the event loop while somebody holds it.

It sleeps until shortly after the loop's own alarm was to go off. If the loop has not seen to it by then it is blocked: a
handler sleeps, computes, or waits for something without giving the loop back. The guard then answers what is due on the
sockets themselves, and when the worker is about to be killed also the rest that has nothing sent. It needs the GIL for
that, so a C extension that keeps it is beyond it, and is the master's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterable
from typing import cast

from gosuper import _accesslog
from gosuper._connection import Connection
from gosuper._deadlines import LATENESS, NEVER, OVERDUE_GRACE, WAITING
from gosuper._ledger import Ledger, describe, status_headers, status_text
from gosuper._request import Request

logger = logging.getLogger("gosuper")

_LAG = 20_000_000
"""How late the event loop may be before the guard takes it for blocked, in nanoseconds."""
_TICK = 50_000_000
_STACK = 8
"""How many of the innermost frames of a blocked event loop are shown."""
_SWITCH_INTERVAL = 0.0002
"""How long another thread may keep the GIL while this one answers, in seconds. Nearly each system call gives it away, and
a busy loop would keep it for 5 ms each time."""
_LAST_CALL = 400_000_000
"""How long before it is killed a blocked worker answers all its requests: before it is cut, with something to spare."""


class Guard:
    """Watches the event loop of this thread."""

    def __init__(self, ledger: Ledger, connections: Iterable[object]) -> None:
        self._ledger = ledger
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._wakeup, self._waker = socket.socketpair()
        self._wakeup.setblocking(False)
        self._waker.setblocking(False)
        self._pinged = 0  # since when the loop owes an answer, 0 if it does not
        self._draining = False
        self._stopped = False
        self._said_all = False
        self._spared = 0  # until when nothing is ended at its limit
        ledger.wake_guard = self.wake
        self._thread = threading.Thread(target=self._run, name="gosuper-guard", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have it look at the alarm again; also for signal handlers."""
        with contextlib.suppress(BlockingIOError):  # it is about to wake up anyway
            self._waker.send(b"\0")

    def drain(self) -> None:
        """From here on the worker may be killed; also for signal handlers."""
        self._draining = True
        self.wake()

    def stop(self) -> None:
        """End it, and wait until it has."""
        self._stopped = True
        self._ledger.wake_guard = lambda: None
        self.wake()
        self._thread.join()
        self._wakeup.close()
        self._waker.close()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        due = NEVER  # when something was to be looked at
        known = NEVER  # the alarm, as it was seen last
        while not self._stopped:
            alarm = self._ledger.deadlines.at + _LAG
            now = time.monotonic_ns()
            if alarm != known:
                known = alarm
                self._late(now, now - alarm)
            due = max(alarm, now + _TICK) if alarm <= now else alarm
            if self._draining:
                due = min(due, now + _TICK)
            if due >= NEVER:
                poll.poll()
            else:
                poll.poll(max(0, due - now) // 1_000_000 + 1)
            try:
                self._wakeup.recv(4096)
            except BlockingIOError:
                pass
            else:
                continue
            now = time.monotonic_ns()
            if not self._late(now, now - due):
                self._look(now)

    def _late(self, now: int, late: int) -> bool:
        """Whether this thread looks so late that the whole process was stopped or starved: the loop may take as long
        again to come back."""
        if late < LATENESS:
            return False
        self._spared = max(self._spared, now + min(late, OVERDUE_GRACE))
        return True

    def _look(self, now: int) -> None:
        if now >= self._ledger.deadlines.at + _LAG:
            due = self._ledger.deadlines.overdue(now) if now >= self._spared else ()
            with _hurry():
                for request in cast("Iterable[Request]", due):
                    self._end(request, 504, _accesslog.TIMEOUT)
        elif not self._draining or not self._blocked(now):
            return
        until = self._ledger.board.drain_until()
        if until and now >= until - _LAST_CALL and not self._said_all:
            self._said_all = True
            with _hurry():
                self._last_call()

    def _blocked(self, now: int) -> bool:
        """Whether the loop has not answered since the last time this was asked."""
        if self._pinged:
            return now - self._pinged > _LAG
        self._pinged = now
        self._loop.call_soon_threadsafe(self._pong)
        return False

    def _pong(self) -> None:
        self._pinged = 0

    def _end(self, request: Request, status: int, ending: str) -> None:
        if not self._ledger.end(request, status, ending):
            return
        if request.phase == WAITING and not request.gone and request.connection is not None:
            _answer(request.connection, status)
        if ending == _accesslog.TIMEOUT:
            logger.warning(
                "%s was ended at its limit by the guard, since the event loop is blocked:\n%s",
                describe(request),
                self._stack(),
            )
        self._loop.call_soon_threadsafe(self._ledger.ended_elsewhere, request)

    def _last_call(self) -> None:
        for request in cast("list[Request]", list(self._ledger.deadlines.running)):
            if request.phase == WAITING or request.held:
                self._end(request, 503, _accesslog.DRAIN)
        for connection in list(self._connections):
            if isinstance(connection, Connection) and connection.running is None:
                _answer(connection, 503, only_if_asked=True)

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)
        return "".join(traceback.format_stack(frame, _STACK)).rstrip() if frame is not None else ""


@contextlib.contextmanager
def _hurry() -> Generator[None, None, None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _answer(connection: Connection, status: int, only_if_asked: bool = False) -> None:
    """Answer on the socket itself, past the transport, and end the connection.

    Nothing is said where that would not be understood: inside TLS and HTTP/2, behind an answer that is not wholly sent,
    and to a client that, if it matters, has not asked for anything.
    """
    transport = connection.transport
    if not connection.plain or transport.get_extra_info("sslcontext") is not None or transport.get_write_buffer_size() > 0:
        return
    try:
        sock = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    except OSError:
        return
    with sock:
        sock.setblocking(False)
        try:
            if _read(sock) or not only_if_asked:
                sock.send(_head(status))
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            return


def _read(sock: socket.socket) -> bool:
    """Take what has arrived, so that the end of the connection is no reset, and report whether it was anything."""
    total = 0
    try:
        while data := sock.recv(65536):
            total += len(data)
    except BlockingIOError:
        pass
    return total > 0


def _head(status: int) -> bytes:
    text = status_text(status)
    lines = [b"HTTP/1.1 %d %b" % (status, text.rstrip())]
    lines += [name + b": " + value for name, value in status_headers(status)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + text
