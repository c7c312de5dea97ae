"""The notice that this worker is to finish: who waits for it hears of it at once, in whatever thread or loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class Drain:
    """Whether this worker has been told to finish. It never ends once it has begun."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._lock = threading.Lock()  # guards what follows
        self._callbacks: dict[object, Callable[[], object]] = {}

    def begun(self) -> bool:
        """Whether the drain has begun."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Tell everybody, once."""
        with self._lock:
            if self._begun.is_set():
                return
            self._begun.set()
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def subscribe(self, callback: Callable[[], object]) -> object:
        """Have a function called when the drain begins, in its thread, or at once if it has; returns a key."""
        key = object()
        with self._lock:
            if not self._begun.is_set():
                self._callbacks[key] = callback
                return key
        callback()
        return key

    def unsubscribe(self, key: object) -> None:
        """Forget a function."""
        with self._lock:
            self._callbacks.pop(key, None)

    async def wait(self) -> None:
        """Wait until the drain begins, in any event loop."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(told.set)

        key = self.subscribe(tell)
        try:
            await told.wait()
        finally:
            self.unsubscribe(key)

    def wait_sync(self, timeout: float | None = None) -> bool:
        """Wait in a thread until the drain begins, for so many seconds at most, and report whether it has."""
        return self._begun.wait(timeout)
