"""How a worker finishes without dropping anything."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

from gosuper import _accesslog
from gosuper._accept import Listener
from gosuper._connection import Connection, WebSocketConnection
from gosuper._gate import FRESH
from gosuper._ledger import Ledger
from gosuper._process import Process
from gosuper._request import Request

logger = logging.getLogger("gosuper")

MARGIN = 250_000_000
"""What is kept free before the worker is killed, in nanoseconds (DrainMargin of the protocol)."""
UNBOUNDED = 30_000_000_000
"""How long a drain takes at most if nobody says until when (UnboundedDrain)."""
ORPHANED = 1_500_000_000
"""How long it takes at most once the master is gone (OrphanGrace)."""

_TURN_STEP, _TURN_SPAN = 1_000_000, 2_000_000_000  # as in the protocol
_LOOK = 0.1


class Leave:
    """The drain of one server: when it is asked for, until when it may take, and what happens in it."""

    def __init__(self, process: Process, state: Any) -> None:
        self.asked = asyncio.Event()
        """Set when the worker has been told to finish."""
        self.event = asyncio.Event()
        """Set when the drain has begun, for the application."""
        self.hurry = False
        """Do not wait any longer."""
        self.told: Callable[[], None] = lambda: None
        """Called when the master has said something."""
        self._process = process
        self._state = state
        self._changed = asyncio.Event()
        self._begun = 0
        self._orphaned = 0

    def watch_master(self) -> None:
        """Hear what the master says, and take its end for the request to finish."""
        notify = self._process.notify
        if notify.fileno() >= 0:
            asyncio.get_running_loop().add_reader(notify.fileno(), self._heard)

    async def unless_asked(self, coroutine: Coroutine[Any, Any, None]) -> bool:
        """Wait for something, and report whether it has ended before the worker was told to finish."""
        task = asyncio.ensure_future(coroutine)
        asked = asyncio.ensure_future(self.asked.wait())
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            asked.cancel()
            task.result()
        return task.done()

    def look(self) -> None:
        """Something has ended."""
        self._changed.set()

    async def drain(self, ledger: Ledger, listeners: list[Listener], opening: set[Connection]) -> None:
        """Give every connection that was accepted its answer, and tell streams to come to an end."""
        process = self._process
        self._begun = time.monotonic_ns()
        emptying = []
        for index, listener in enumerate(listeners):
            if process.board.leaving(index):
                emptying.append(asyncio.ensure_future(listener.empty()))
            else:
                listener.close()
        ledger.gate.present(False)
        ledger.closing = True
        self.event.set()
        process.finish()
        self._close_connections(ledger)
        await self._until_done(ledger, lambda: bool(opening) or not all(task.done() for task in emptying))
        if process.board.abort_follows() and not self.hurry:
            # The abort signal ends the process while this waits.
            await self._wait(lambda: bool(self._state.tasks) and process.board.abort_follows())

    async def within(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Wait for something, but not past the end of the drain."""
        task = asyncio.ensure_future(coroutine)
        await self._wait(lambda: not task.done() and not self._over())

    def exit_in_time(self) -> None:
        """Have the process end with the drain, whatever threads are still at work: the interpreter would wait for them."""
        left = max(0, self.until() - time.monotonic_ns())
        timer = threading.Timer(0 if self.hurry else left / 1e9, _exit)
        timer.daemon = True
        timer.start()

    def until(self) -> int:
        """When the drain is over, in CLOCK_MONOTONIC nanoseconds. It may be moved."""
        until = self._process.board.drain_until()
        until = until - MARGIN if until else self._begun + UNBOUNDED
        return min(until, self._orphaned + ORPHANED) if self._orphaned else until

    def _over(self) -> bool:
        return self.hurry or time.monotonic_ns() >= self.until()

    async def _until_done(self, ledger: Ledger, coming: Callable[[], bool]) -> None:
        def busy() -> bool:
            return bool(self._state.connections or self._state.tasks) or coming()

        await self._wait(lambda: busy() and not self._over())
        if not busy():
            return
        left = cast("list[Request]", list(ledger.deadlines.running))
        if left:
            logger.warning("%d requests were cut at the end of the drain", len(left))
        for request in left:
            if isinstance(request.connection, WebSocketConnection):
                request.connection.shutdown()
            ledger.terminate(request, 503, _accesslog.DRAIN)
        cut = time.monotonic_ns()
        await self._wait(lambda: busy() and time.monotonic_ns() - cut < MARGIN // 4)
        for connection in list(self._state.connections):
            connection.transport.abort()

    def _close_connections(self, ledger: Ledger) -> None:
        """Connections that never sent anything end when they would if they were idle, counted from now.

        Others end after an answer, or when they have been idle for long enough. Not all after their next answers, or all
        clients would come back at the same moment: they have turns, first those with a request under way.
        """
        loop = asyncio.get_running_loop()
        seconds = max(ledger.limits.keepalive, FRESH) / 1e9

        def close(connection: Connection) -> None:
            if not connection.served:
                connection.transport.close()

        connections: list[Connection] = sorted(self._state.connections, key=lambda one: one.running is None)
        span = min(_TURN_SPAN, (self.until() - self._begun) // 4) if ledger.limits.keepalive else 0
        step = min(_TURN_STEP, max(span, 0) // max(len(connections), 1))
        for place, connection in enumerate(connections):
            connection.turn = self._begun + place * step
            loop.call_later(place * step / 1e9, connection.announce_end)
            if not connection.served:
                loop.call_later(seconds, close, connection)

    async def _wait(self, condition: Any) -> None:
        """Wait while a condition holds, looking whenever something has ended, and ten times a second."""
        loop = asyncio.get_running_loop()
        while condition():
            self._changed.clear()
            timer = loop.call_later(_LOOK, self._changed.set)
            await self._changed.wait()
            timer.cancel()

    def _heard(self) -> None:
        notify = self._process.notify
        if notify.gone():
            asyncio.get_running_loop().remove_reader(notify.fileno())
            self._orphaned = time.monotonic_ns()
            self.asked.set()
        else:
            self.told()


def _exit() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
