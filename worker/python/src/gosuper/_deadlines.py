"""When requests are due, with one timer for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from gosuper._environ import Limits

NEVER = (1 << 63) - 1
LATENESS = 100_000_000
"""How late an alarm may go off, in nanoseconds. A later one says that the process was stopped or starved, or its event
loop held by somebody; that is not the fault of a request that is due by then, or within as long again, which is given
what it took."""
OVERDUE_GRACE = 1_000_000_000
"""After so long the master would have replaced the worker, so it was stopped too; the time of all requests begins anew."""
FORESIGHT = 500_000_000
PULSE = 100_000_000
"""So long before something is due, and from then on so often, the alarm goes off: it would not be late, or not by enough,
where the process was stopped until just before."""

WAITING, STREAMING, UPGRADED = range(3)
"""How far a request has got: nothing of a final response was sent; part of one was; it speaks a protocol of its own."""


class Timed(Protocol):
    """What is known of the time of a request, in CLOCK_MONOTONIC nanoseconds."""

    progress: int
    deadline: int
    phase: int

    def forgive(self, progress: int) -> None:
        """Have its time without progress begin so much later, also for the master, unless it has been ended."""


def due(request: Timed, limits: Limits) -> int:
    """When a request is to be ended as things are, or NEVER."""
    phase = request.phase
    idle = limits.timeout if phase == WAITING else limits.stream if phase == STREAMING else limits.upgrade
    at = request.progress + idle if idle else NEVER
    return min(at, request.deadline) if request.deadline else at


def _look_at(now: int, at: int) -> int:
    """When to look next at what is due at a time."""
    return min(at, max(at - FORESIGHT, now + PULSE))


class Deadlines:
    """The requests that are running, and the alarm at or before the first time at which one can be due.

    Progress only makes a request due later, so it does not move the alarm: one that goes off too early looks when it is
    really due. While requests come in faster than limits run out none of them sets it.
    """

    def __init__(self, limits: Limits, expire: Callable[[Timed], None], armed: Callable[[], None]) -> None:
        self.running: dict[Timed, None] = {}
        """Whoever adds one sees to it that the alarm is set, and whoever takes one off accounts for its end."""
        self.at = NEVER
        """When the alarm goes off; other threads may read it, and copy running, which list() does at once."""
        self._limits = limits
        self._expire = expire
        self._armed = armed
        first = [limit for limit in (limits.timeout, limits.request) if limit]
        self.shortest = _look_at(0, min(first)) if first else NEVER
        """How long there is at least nothing to see of a request that begins."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def look(self, request: Timed) -> None:
        """Look again at a request that may be due earlier than it was."""
        at = due(request, self._limits)
        if at < self.at:
            self.arm(_look_at(time.monotonic_ns(), at))

    def overdue(self, now: int) -> list[Timed]:
        """The requests that are due, for any thread."""
        return [request for request in list(self.running) if due(request, self._limits) <= now]

    def arm(self, at: int) -> None:
        """Have the alarm go off at this time, which is earlier than it would."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self.at = at
        self._timer = self._loop.call_later(max(0, at - time.monotonic_ns()) / 1e9, self._fire)
        self._armed()

    def _fire(self) -> None:
        self._timer = None
        now = time.monotonic_ns()
        late = now - self.at
        earliest = NEVER
        for request in list(self.running):
            at = due(request, self._limits)
            if late > OVERDUE_GRACE or (late > LATENESS and at <= now + late):
                request.forgive(now if late > OVERDUE_GRACE else min(now, request.progress + late))
                at = due(request, self._limits)
            if at <= now:
                self._expire(request)
                at = due(request, self._limits) if request in self.running else NEVER
            earliest = min(earliest, at)
        self.at = NEVER
        if earliest != NEVER:
            self.arm(_look_at(now, earliest))
