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
from typing import NamedTuple

from gosuper._fleet import Fleet, Occupant

LONGEST_YIELD = 5_000_000
STEP = 1_000_000
_SHORTEST_YIELD = LONGEST_YIELD // 20
_FIRST_SILENCE, _LAST_SILENCE = 1_000_000, 10_000_000_000
_OPEN_MATTERS = 2
_MAX_RIVALS = 64
_RECOUNT = 1_000_000_000
_BEYOND = 4


class Standing(NamedTuple):
    """What a worker has to do, and has done."""

    busy: int
    open: int
    ended: int
    """Requests so far."""
    closed: int
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
        self._seen = Standing(0, 0, 0, 0)
        self._taken = place + 1  # places up to the last one in which somebody was seen
        self._counted = 0

    def consider(self, own: Standing) -> Yield | None:
        """For how long the next connection is to be left to somebody else; None if it is not."""
        if own.busy == 0 and own.open < _OPEN_MATTERS:
            return None
        now = time.monotonic_ns()
        self._observe(now, own)
        self._count(now)
        least = fewest = (-1, own.busy, own.open)
        limit = own.busy + self._requests
        for i in range(min(self._taken - 1, _MAX_RIVALS)):
            place = (self._own + 1 + i) % self._taken
            if not 0 <= self._fleet.busy(place) <= limit:
                continue
            o = self._fleet.occupant(place)
            if o.id == 0 or 0 < o.capacity <= o.busy or o.busy > limit or self._disregarded(place, o, now):
                continue
            if (o.busy, o.open) < least[1:]:
                least = (place, o.busy, o.open)
            if (o.open, o.busy) < (fewest[2], fewest[1]):
                fewest = (place, o.busy, o.open)
        excess = own.busy - least[1]
        if excess > self._requests:
            return _yield(least[0], excess, own.busy, least[1])
        excess = own.open - fewest[2]
        if excess >= _OPEN_MATTERS and excess > self._connections:
            return _yield(fewest[0], excess, own.open, min(own.busy, fewest[1]) - self._requests - 1)
        return None

    def disregard(self, place: int) -> None:
        """Remember a worker that did not take what was left to it."""
        o = self._fleet.occupant(place)
        was = self._silent.get(place)
        length = _FIRST_SILENCE
        if was is not None and (was.id, was.beat) == (o.id, o.beat):
            length = min(2 * was.length, _LAST_SILENCE)
        self._silent[place] = _Silence(o.id, o.beat, time.monotonic_ns() + length, length)

    def _disregarded(self, place: int, o: Occupant, now: int) -> bool:
        was = self._silent.get(place)
        if was is None:
            return False
        if (was.id, was.beat) != (o.id, o.beat):
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
        if passed < STEP:
            return
        self._requests = STEP * (own.ended - self._seen.ended) // passed
        self._connections = LONGEST_YIELD * (own.closed - self._seen.closed) // passed
        self._looked, self._seen = now, own


def _yield(place: int, excess: int, own: int, until: int) -> Yield | None:
    wait = LONGEST_YIELD * excess // own
    return Yield(wait, place, until) if wait >= _SHORTEST_YIELD else None
