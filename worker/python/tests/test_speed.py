"""The compiled module beside the one in Python, and what only it can do wrong."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest

from gosuper import _layout, _plain, _stores
from gosuper._board import texts

_speed: Any = pytest.importorskip("gosuper._speed", exc_type=ImportError)
ROOT = texts(b"GET", b"/", b"")
BEYOND = (_layout.SLOTS + _layout.OVERDUE, -2, 1 << 31, 1 << 40, 1 << 70, -(1 << 70))


def test_it_is_in_use() -> None:
    assert (_stores.Slots, _stores.Place) == (_speed.Slots, _speed.Place)


def test_the_same_bytes_whatever_is_in_the_memory() -> None:
    """While somebody else writes there too."""
    chance = random.Random(7)
    boards = [bytearray(_layout.SIZE) for _ in range(2)]
    both = [_speed.Slots(boards[0]), _plain.Slots(boards[1])]
    known = [texts(b"GET", b"/%d" % i, b"") for i in range(5)]
    taken: list[int] = []
    for step in range(20_000):
        time, kind = chance.randrange(1 << 60), chance.randrange(8)
        slot = chance.choice(taken) if taken and chance.random() < 0.9 else _layout.NO_SLOT
        call: tuple[Any, ...] = ("take", time, chance.randrange(2) * time, chance.choice(known))
        if kind == 1:
            call = ("take_overdue", time, time + 5, 0, chance.choice((0, 2, 4)), chance.choice(known))
        elif kind in (2, 3):
            call = ("mark", slot, chance.choice((2, 4, 8)))
        elif kind == 4:
            call = ("progress", slot, time)
        elif kind == 5:
            status = chance.choice((chance.randrange(-700, 1000), chance.randrange(100, 600), None, "200", 200.0, 1 << 70))
            call = ("finish", slot, status, time, time + (1 << chance.randrange(50)) - 3)
        elif kind == 6 and step % 3:
            call = ("free", slot)
        found = [getattr(slots, call[0])(*call[1:]) for slots in both]
        assert found[0] == found[1], call
        if call[0].startswith("take") and found[0] >= 0:
            taken.append(found[0])
        elif call[0] in ("finish", "free") and slot >= 0:
            taken.remove(slot)
        assert both[0].in_flight() == both[1].in_flight()
        if step % 100 == 0:
            assert boards[0] == boards[1], call
            junk, where = chance.randbytes(512), chance.randrange(_layout.SIZE - 512)
            for memory in boards:
                memory[where : where + 512] = junk
    assert len(taken) > _layout.SLOTS


@pytest.mark.parametrize("slot", BEYOND)
def test_what_is_no_slot_is_refused(slot: int) -> None:
    slots = _speed.Slots(bytearray(_layout.SIZE))
    for name, *rest in (("free",), ("mark", 1), ("flag", 1), ("finish", 200, 1), ("progress", 1)):
        with pytest.raises((ValueError, OverflowError)):
            getattr(slots, name)(slot, *rest)


@pytest.mark.parametrize(
    "call",
    [
        ("take", 1, 0),
        ("take", 1, 0, ROOT, 1),
        ("take", "1", 0, ROOT),
        ("take", -1, 0, ROOT),
        ("take", 1, 0, ROOT[1:]),
        ("take", 1, 0, bytearray(ROOT)),
        ("take_overdue", 1, 2, 3, 4),
        ("take_overdue", 1, 2, 3, 1 << 32, ROOT),
        ("take_overdue", 1, 2, 3, 4, None),
        ("progress",),
        ("progress", 0, None),
        ("mark", 0),
        ("flag", 0, "1"),
        ("finish", 0, 200),
        ("finish", 0, 200, -1),
        ("finish", 0, 200, 1, 1 << 64),
        ("free", None),
    ],
)
def test_what_is_no_argument_is_refused(call: tuple[Any, ...]) -> None:
    memory = bytearray(_layout.SIZE)
    slots = _speed.Slots(memory)
    slots.take(1, 0, ROOT)
    with pytest.raises((TypeError, ValueError, OverflowError)):
        getattr(slots, call[0])(*call[1:])
    slots.finish(0, 200, 1)
    assert slots.take(1, 0, ROOT) == 0


def test_only_memory_of_its_size_is_taken() -> None:
    for kind, size in ((_speed.Slots, _layout.SIZE), (_speed.Place, 64)):
        room = memoryview(bytearray(2 * size))
        for memory in (room[: size - 8], room[: size + 8], room[4 : size + 4], room[: 2 * size : 2], bytes(size), None, 7):
            with pytest.raises((ValueError, BufferError, TypeError)):
                kind(memory)
        with pytest.raises(TypeError):
            kind()


def test_memory_is_held() -> None:
    memory = bytearray(_layout.SIZE)
    kinds = [_speed.Slots(memory), _speed.Place(memoryview(memory)[64:128])]
    while kinds:
        with pytest.raises(BufferError):
            memory.clear()
        kinds.pop()
    memory.clear()


def test_texts_are_given_back() -> None:
    text = bytes(bytearray(ROOT))
    before = sys.getrefcount(text)
    slots = _speed.Slots(bytearray(_layout.SIZE))
    taken = [slots.take(1, 0, text) for _ in range(3)]
    assert sys.getrefcount(text) == before + 3
    for slot in taken:
        slots.free(slot)
    for _ in range(3):
        slots.take(1, 0, ROOT)
    assert sys.getrefcount(text) == before
    slots.free(0)
    slots.take(1, 0, text)
    del slots
    assert sys.getrefcount(text) == before
