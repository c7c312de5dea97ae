"""Who takes which connection."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest

from gosuper._fleet import BEAT, Fleet
from gosuper._gate import FRESH, Gate
from gosuper._spread import LONGEST_YIELD, Spread

pytestmark = pytest.mark.usefixtures("stores")


class Standing(NamedTuple):
    """What a worker has to do that has not done anything yet."""

    busy: int
    open: int
    ended: int = 0
    closed: int = 0


def fleet(*places: tuple[int, int, int]) -> Fleet:
    """A page on which the workers of these places have so much to do, so many connections open, and this capacity."""
    page = Fleet(bytearray(4096))
    for i, (busy, connections, capacity) in enumerate(places):
        gate = Gate(capacity, page, i, i + 1)
        gate.present(True)
        for number in range(max(busy, connections)):
            gate.admit(number)
            if number >= busy:
                gate.begin(number)
                gate.finish()
            elif number >= connections:
                gate.begin(number)
                gate.forget(number)
    return page


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        ((0, 0), [(0, 0, 0)], None),  # nothing to do
        ((1, 1), [(1, 1, 0)], None),  # as busy
        ((1, 1), [(0, 1, 0)], (LONGEST_YIELD, 1)),
        ((4, 4), [(3, 4, 0)], (LONGEST_YIELD // 4, 1)),
        ((4, 4), [(3, 4, 0), (1, 4, 0)], (LONGEST_YIELD * 3 // 4, 2)),
        ((4, 4), [(0, 0, 1)], (LONGEST_YIELD, 1)),
        ((4, 4), [(1, 0, 1)], None),  # no room
        ((1, 3), [(1, 2, 0)], None),  # one connection more does not matter
        ((1, 4), [(1, 2, 0)], (LONGEST_YIELD // 2, 1)),
        ((0, 2), [(0, 0, 0)], (LONGEST_YIELD, 1)),
        ((100, 100), [(99, 100, 0)], None),  # not worth a wait
    ],
)
def test_spread(own: tuple[int, int], others: list[tuple[int, int, int]], expected: tuple[int, int] | None) -> None:
    leave = Spread(fleet((*own, 0), *others), 0).consider(Standing(*own), time.monotonic_ns())
    assert (leave and leave[:2]) == expected


def test_who_does_not_react_is_not_waited_for() -> None:
    page = fleet((2, 2, 0), (0, 0, 0))
    spread = Spread(page, 0)
    own, now = Standing(2, 2), time.monotonic_ns()
    assert spread.consider(own, now)
    for _ in range(12):  # so that the last silence is longer than this test
        spread.disregard(1)
    assert spread.consider(own, now) is None
    page.place(1)[BEAT] += 1
    assert spread.consider(own, now)


def test_gate() -> None:
    page = Fleet(bytearray(4096))
    gate = Gate(2, page, 3, 9)
    gate.present(True)
    woken: list[int] = []
    first, second = object(), object()
    gate.admit(first)
    gate.admit(second)
    assert gate.full()
    gate.await_mark(gate.room(), lambda: woken.append(gate.busy))
    gate.begin(first)
    gate.begin(first)
    assert (gate.busy, gate.open) == (3, 2)
    gate.finish()
    assert woken == []
    gate.forget(second)
    assert woken == [1]
    o = page.occupant(3)
    assert (o.id, o.busy, o.open, o.capacity) == (9, 1, 1, 2)
    assert gate.expire_fresh(time.monotonic_ns()) == 0  # neither is fresh
    gate.present(False)
    assert page.busy(3) == -1


def test_a_connection_is_fresh_for_a_second() -> None:
    gate = Gate()
    first, second, third = object(), object(), object()
    begin = time.monotonic_ns()
    for connection in (first, second, third):
        gate.admit(connection)
    gate.begin(first)
    assert 0 < gate.expire_fresh(begin) <= FRESH + time.monotonic_ns() - begin
    assert gate.busy == 3
    assert gate.expire_fresh(time.monotonic_ns() + FRESH) == 0
    assert gate.busy == 1
    gate.forget(second)
    assert (gate.busy, gate.open) == (1, 2)
