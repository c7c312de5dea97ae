"""Which of the workers that share a queue takes the next connection.

The rule. A connection wakes every worker. Each looks at the fleet page: if somebody else has room and is less busy, the
connection is left to them; of those who are as busy, to one with at least two connections fewer, since these bring
requests later. What is left is left for a moment only, at most 5 ms and in proportion to how much of this worker's own
load is the excess, and the worker looks again after each millisecond. If the connection is still there at the end, this
worker takes it, and does not wait again for the one that let it lie, until that one shows a sign of life (its beat moves)
or a time has passed that doubles from 1 ms to 10 s. An excess that the worker works off within a look is none: those who
end a request every few microseconds are as busy as each other.
"""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from gosuper._fleet import Fleet

LONGEST_YIELD = 5_000_000
STEP = 1_000_000
_SHORTEST_YIELD = LONGEST_YIELD // 20
_FIRST_SILENCE, _LAST_SILENCE = 1_000_000, 10_000_000_000
_OPEN_MATTERS = 2
_MAX_RIVALS = 64
_RECOUNT = 1_000_000_000
_BEYOND = 4


class Standing(Protocol):
    """What a worker has to do, and has done."""

    @property
    def busy(self) -> int:
        """Requests, and connections that have not sent any yet."""

    @property
    def open(self) -> int:
        """Connections."""

    @property
    def ended(self) -> int:
        """Requests so far."""

    @property
    def closed(self) -> int:
        """Connections so far."""


class Yield(NamedTuple):
    """For how many nanoseconds a connection is left to the worker in a place; until this one is no busier than `until`."""

    time: int
    place: int
    until: int


class _Silence(NamedTuple):
    id: int
    beat: int
    until: int
    length: int


class Spread:
    """The rule for one worker, in its own place."""

    def __init__(self, fleet: Fleet, place: int) -> None:
        self._fleet = fleet
        self._own = place
        self._silent: dict[int, _Silence] = {}
        self._requests = self._connections = 0  # ended in a STEP, closed in a LONGEST_YIELD
        self._looked = 0
        self._ended = self._closed = 0
        self._taken = place + 1  # places up to the last one in which somebody was seen
        self._counted = 0

    def consider(self, own: Standing, now: int) -> Yield | None:
        """For how long the next connection is to be left to somebody else; None if it is not. Now is CLOCK_MONOTONIC."""
        own_busy, own_open = own.busy, own.open
        if own_busy == 0 and own_open < _OPEN_MATTERS:
            return None
        if now - self._looked >= STEP:
            self._observe(now, own)
            self._count(now)
        least, least_busy, least_open = -1, own_busy, own_open
        fewest, fewest_busy, fewest_open = -1, own_busy, own_open
        limit = own_busy + self._requests
        taken, read = self._taken, self._fleet.read
        for place in range(self._own + 1, self._own + min(taken, _MAX_RIVALS + 1)):
            if place >= taken:
                place -= taken
            busy, capacity, beat, ident, connections = read(place)
            if ident == 0 or busy > limit or 0 < capacity <= busy:
                continue
            if self._silent and self._disregarded(place, ident, beat, now):
                continue
            if busy < least_busy or (busy == least_busy and connections < least_open):
                least, least_busy, least_open = place, busy, connections
            if connections < fewest_open or (connections == fewest_open and busy < fewest_busy):
                fewest, fewest_busy, fewest_open = place, busy, connections
        excess = own_busy - least_busy
        if excess > self._requests:
            return _yield(least, excess, own_busy, least_busy)
        excess = own_open - fewest_open
        if excess >= _OPEN_MATTERS and excess > self._connections:
            return _yield(fewest, excess, own_open, min(own_busy, fewest_busy) - self._requests - 1)
        return None

    def disregard(self, place: int) -> None:
        """Remember a worker that did not take what was left to it."""
        o = self._fleet.occupant(place)
        was = self._silent.get(place)
        length = _FIRST_SILENCE
        if was is not None and (was.id, was.beat) == (o.id, o.beat):
            length = min(2 * was.length, _LAST_SILENCE)
        self._silent[place] = _Silence(o.id, o.beat, time.monotonic_ns() + length, length)

    def _disregarded(self, place: int, ident: int, beat: int, now: int) -> bool:
        was = self._silent.get(place)
        if was is None:
            return False
        if (was.id, was.beat) != (ident, beat):
            del self._silent[place]
            return False
        return now < was.until

    def _count(self, now: int) -> None:
        end = self._taken + _BEYOND
        if now - self._counted >= _RECOUNT:
            self._taken, self._counted = self._own + 1, now
            end = self._fleet.places
        place = self._taken
        while place < min(end, self._fleet.places):
            if self._fleet.busy(place) >= 0:
                self._taken, end = place + 1, max(end, place + 1 + _BEYOND)
            place += 1

    def _observe(self, now: int, own: Standing) -> None:
        passed = now - self._looked
        self._requests = STEP * (own.ended - self._ended) // passed
        self._connections = LONGEST_YIELD * (own.closed - self._closed) // passed
        self._looked, self._ended, self._closed = now, own.ended, own.closed


def _yield(place: int, excess: int, own: int, until: int) -> Yield | None:
    wait = LONGEST_YIELD * excess // own
    return Yield(wait, place, until) if wait >= _SHORTEST_YIELD else None
