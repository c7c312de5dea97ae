"""Takes connections from a listening socket one at a time, and only those that are for this worker."""

from __future__ import annotations

import asyncio
import errno
import logging
import select
import socket
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from gosuper._gate import Gate
from gosuper._spread import STEP, Spread

logger = logging.getLogger("gosuper")

QUIET_QUEUE = 1_000_000_000
"""How long the queue of a socket that is given up must have been empty before it is closed, in nanoseconds."""

_FIRST_PAUSE, _LAST_PAUSE = 0.1, 1.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM)
_BROKEN_WHILE_WAITING = (
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.ENOPROTOOPT,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
)


class Listener:
    """One listening socket in the event loop, until close.

    The event loop's own servers accept whatever comes. This one looks at the gate and at the other workers first. While
    it leaves a connection to somebody else it does not listen, since the poller would tell of it again and again; nor
    while it is held.
    """

    def __init__(
        self, sock: socket.socket, gate: Gate, spread: Spread | None, take: Callable[[socket.socket], None], held: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._gate = gate
        self._spread = spread
        self._take = take
        self._force = False
        self._open = True
        self._timer: asyncio.TimerHandle | None = None
        self._yielded = 0  # since when the first in the queue is left to others, 0 if it is not
        self._pause = _FIRST_PAUSE
        self._warned = False
        self._last = 0  # when a connection was last taken, in CLOCK_MONOTONIC nanoseconds
        self._accept = _accepting(sock)
        self._held = held
        if not held:
            self._loop.add_reader(sock.fileno(), self._attempt)

    def release(self) -> None:
        """Accept from now on."""
        if self._held:
            self._held = False
            self._resume()

    def unblock(self) -> None:
        """Have an accept that waits all the same give up, if it is called in a handler of a signal."""
        if self._open:
            self._sock.setblocking(False)

    def close(self) -> None:
        """Stop, and close this process's copy of the socket."""
        if self._open:
            self._open = False
            self._cancel_timer()
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    async def empty(self) -> None:
        """Accept whatever is in the queue until it has been empty for QUIET_QUEUE, and close the socket.

        What waits for one that is held is for others.
        """
        if self._held:
            self.close()
            return
        self._force = True
        self._last = monotonic_ns()
        self._resume()
        while (left := self._last + QUIET_QUEUE - monotonic_ns()) > 0:
            await asyncio.sleep(left / 1e9)
        self.close()

    def _attempt(self) -> None:
        now = monotonic_ns()
        if not self._force:
            left = self._gate.expire_fresh(now)
            if self._gate.full():
                self._wait(left / 1e9 if left else None, self._gate.room())
                return
            if self._spread is not None and self._leave_to_others(self._spread, now):
                return
        try:
            conn = self._accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._failed(error)
            return
        self._pause = _FIRST_PAUSE
        self._last = now
        self._take(conn)

    def _leave_to_others(self, spread: Spread, now: int) -> bool:
        leave = spread.consider(self._gate, now)
        if leave is None:
            self._yielded = 0
            return False
        if not _readable(self._sock):
            self._yielded = 0
            return True
        self._yielded = self._yielded or now
        left = leave.time - (now - self._yielded)
        if left > 0:
            self._wait(min(left, STEP) / 1e9, leave.until)
            return True
        self._yielded = 0
        spread.disregard(leave.place)
        return False

    def _failed(self, error: OSError) -> None:
        if error.errno in _BROKEN_WHILE_WAITING:
            return
        if error.errno not in _EXHAUSTED:
            logger.error("cannot accept connections any more: %s", error)
            self._loop.remove_reader(self._sock.fileno())
            return
        if not self._warned:
            self._warned = True
            logger.warning("cannot accept connections for the moment, said once: %s", error)
        self._gate.present(False)
        self._wait(self._pause, -1, lambda: self._gate.present(self._open and not self._force))
        self._pause = min(2 * self._pause, _LAST_PAUSE)

    def _wait(self, seconds: float | None, mark: int, then: Callable[[], None] | None = None) -> None:
        """Do not listen for so long, None for ever, or until the worker is no busier than the mark."""
        self._loop.remove_reader(self._sock.fileno())
        self._cancel_timer()
        if seconds is not None:

            def expired() -> None:
                if then is not None:
                    then()
                self._resume()

            self._timer = self._loop.call_later(seconds, expired)
        if mark >= 0:
            self._gate.await_mark(mark, self._resume)

    def _resume(self) -> None:
        if self._open:
            self._cancel_timer()
            self._loop.add_reader(self._sock.fileno(), self._attempt)
            if self._yielded:
                self._attempt()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _accepting(sock: socket.socket) -> Callable[[], socket.socket]:
    """The accept of a socket, whose connections are of its own family and type: that is not asked of each."""
    accept: Callable[[], tuple[int, Any]] | None = getattr(sock, "_accept", None)
    if accept is None:
        return lambda: sock.accept()[0]
    family, kind, proto = sock.family, sock.type, sock.proto
    known = {"__slots__": (), "family": family, "type": kind}
    accepted: type[socket.socket] = type("Accepted", (socket.socket,), known)
    return lambda: accepted(family, kind, proto, accept()[0])


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
