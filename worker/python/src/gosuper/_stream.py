"""Streams that come to a polite end when the worker drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeVar, overload

from gosuper._drain import Drain

T = TypeVar("T")


class Streams:
    """Wraps the iterators of tokens that an application streams."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    @overload
    def __call__(self, iterator: AsyncIterable[T], farewell: T | None = None) -> AsyncIterator[T]: ...
    @overload
    def __call__(self, iterator: Iterable[T], farewell: T | None = None) -> Iterator[T]: ...

    def __call__(
        self, iterator: AsyncIterable[T] | Iterable[T], farewell: T | None = None
    ) -> AsyncIterator[T] | Iterator[T]:
        """Yield what the iterator yields; when draining begins end it, and yield the farewell last, if there is one.

        An asynchronous iterator is interrupted while it waits (asyncio.CancelledError, so that its ``finally`` runs);
        a plain one ends after the item under way.
        """
        if isinstance(iterator, AsyncIterable):
            return self._pumped(iterator, farewell)
        return self._checked(iterator, farewell)

    def _checked(self, iterator: Iterable[T], farewell: T | None) -> Iterator[T]:
        if not self._drain.begun():
            for item in iterator:
                yield item
                if self._drain.begun():
                    break
            else:
                return
        if farewell is not None:
            yield farewell

    async def _pumped(self, iterator: AsyncIterable[T], farewell: T | None) -> AsyncIterator[T]:
        # The whole iterator runs in one task, since what it holds across its yields (a task group, a cancel scope, a
        # context variable) must be entered and left in the same one.
        if self._drain.begun():
            if farewell is not None:
                yield farewell
            return
        pump = _Pump(iterator)
        loop = asyncio.get_running_loop()
        key = self._drain.subscribe(lambda: loop.call_soon_threadsafe(pump.interrupt))
        try:
            while (batch := await pump.next()) is not None:
                yield batch[0]
        finally:
            self._drain.unsubscribe(key)
            await pump.close()
        if pump.interrupted and farewell is not None:
            yield farewell


class _Pump(AsyncIterator[T]):
    """Runs an iterator in a task of its own, one item ahead of nobody: it goes on when the item was asked for."""

    def __init__(self, iterator: AsyncIterable[T]) -> None:
        self.interrupted = False
        self._iterator = iterator
        self._wanted = asyncio.Event()
        self._moved = asyncio.Event()
        self._item: list[T] = []
        self._task = asyncio.ensure_future(self._run())
        self._task.add_done_callback(lambda _: self._moved.set())

    async def next(self) -> list[T] | None:
        """The next item in a list, None at the end; raises what the iterator has raised."""
        self._wanted.set()
        await self._moved.wait()
        if self._item:
            item, self._item = self._item, []
            if not self._task.done():
                self._moved.clear()
            return item
        if not self._task.cancelled():
            self._task.result()
        return None

    async def __anext__(self) -> T:
        item = await self.next()
        if item is None:
            raise StopAsyncIteration
        return item[0]

    def interrupt(self) -> None:
        """End the iterator where it waits; one that is over already is not interrupted."""
        if not self._task.done():
            self.interrupted = True
            self._task.cancel()

    async def close(self) -> None:
        """End the iterator, and wait until it has."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._wanted.wait()
            async for item in self._iterator:
                self._wanted.clear()
                self._item = [item]
                self._moved.set()
                await self._wanted.wait()
        finally:
            close = getattr(self._iterator, "aclose", None)
            if close is not None:
                await close()
