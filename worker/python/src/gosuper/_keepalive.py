"""The timer of idle connections, which costs nothing while requests follow each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any


class LazyLoop:
    """What one connection sees of the event loop: tasks, and one timer at a time, that is its own handle.

    A server sets a timer whenever a response is complete, and cancels it when the next request comes. Here neither does
    more than note the time: the loop's own timer is left to run, and when it goes off looks at what is noted.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.create_task: Callable[..., asyncio.Task[Any]] = loop.create_task
        self._loop = loop
        self._time = loop.time
        self._due = 0.0  # 0 if nothing is to happen
        self._timer: asyncio.TimerHandle | None = None
        self._when = inf  # it goes off
        self._callback: Callable[[], object] = _nothing

    def call_later(self, delay: float, callback: Callable[[], object]) -> LazyLoop:
        """Have a function called after so many seconds, unless cancel comes before."""
        self._due = due = self._time() + delay
        self._callback = callback
        if due < self._when:
            if self._timer is not None:
                self._timer.cancel()
            self._set(due)
        return self

    def cancel(self) -> None:
        """Forget what was to be called."""
        self._due = 0.0

    def close(self) -> None:
        """Give the loop's timer back, and whatever it was to call."""
        self._callback = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._when = None, inf

    def _set(self, when: float) -> None:
        self._timer, self._when = self._loop.call_at(when, self._fire), when

    def _fire(self) -> None:
        self._timer, self._when = None, inf
        if not self._due:
            return
        if self._time() < self._due:
            self._set(self._due)
            return
        self._due = 0.0
        self._callback()


def _nothing() -> None:
    """What is called when nothing is to be."""
