"""The board against the bytes that every language's implementation is held to, with either kind of stores."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from gosuper import _board, _layout
from gosuper._board import Board, texts

GOLDEN = Path(__file__).parents[2] / "scoreboard/testdata/board-v1.bin"
ROOT = texts(b"GET", b"/", b"")

pytestmark = pytest.mark.usefixtures("stores")


def test_golden() -> None:
    memory = bytearray(_layout.SIZE)
    board = Board(memory)
    slots = board.slots
    memory[88:96] = (1).to_bytes(8, "little")
    assert (board.holds(), board.slot()) == (True, -1)
    board.write_header(4242)
    board.can_hold()
    board.can_tell()
    board.set_state(_board.READY)
    for _ in range(3):
        board.accepted()
    board.closed()
    durations = (0, 16383, 16384, 24576, 10**6, 3600 * 10**9, 24 * 3600 * 10**9)
    for status, duration in zip((101, 200, 204, 301, 404, 503, 599), durations, strict=True):
        assert slots.finish(_layout.NO_SLOT, status, 1, 1 + duration) == 1 + duration
    board.timed_out()
    board.timed_out()
    board.beat()
    board.failed(100)
    board.succeeded(50)
    board.succeeded(40)
    assert [board.failed(200), board.failed(300)] == [1, 2]
    assert slots.take(1000, 0, texts(b"GET", b"/agent/stream", b"")) == 0
    path = "/a\x1b[2J\u00e9\n".encode()
    assert slots.take(2000, 9000, texts(b"POST", path, b"4bf92f35-77b3-4da6-a3ce-929d0e0e4736")) == 1
    assert slots.take(4000, 0, texts(b"DELETE", b"/gone", b"id")) == 2
    assert [slots.take(1, 0, ROOT) for _ in range(2)] == [3, 4]
    assert slots.take(3000, 0, texts(b"PROPFIND-AND-MORE", b"/" + 13 * b"0123456789", 65 * b"x")) == 5
    assert slots.progress(0, 1500) == 1500
    slots.mark(0, _layout.STREAMING)
    slots.mark(1, _layout.ENDED)
    slots.mark(5, _layout.UPGRADED)
    for slot in (2, 3, 4):
        slots.free(slot)
    memory[72:80] = 0x8000000000000005.to_bytes(8, "little")
    memory[64:72] = 0x0123456789ABCDEF.to_bytes(8, "little")
    memory[80:88] = (1).to_bytes(8, "little")
    memory[88:96] = bytes(8)
    memory[96:104] = (7).to_bytes(8, "little")
    memory[104:112] = (3).to_bytes(8, "little")
    board.set_state(_board.DRAINING)

    want = GOLDEN.read_bytes()
    # The bytes are of other requests than have slots here, and of one that has ended in no class and without a time.
    counts = struct.Struct("<Q56xQ")
    assert counts.unpack_from(memory, 128) == (slots.started, 7) == (6, 7)
    counts.pack_into(memory, 128, 9, 8)
    memory[4096 + 3 * 256 : 4096 + 5 * 256] = bytes(2 * 256)
    assert [i for i in range(_layout.SIZE) if memory[i] != want[i]] == []
    assert board.drain_until() == 0x0123456789ABCDEF
    assert board.abort_follows()
    board.look()
    assert (board.holds(), board.slot(), board.busy_at) == (False, 6, 3)
    assert [i for i in range(-1, 65) if board.leaving(i)] == [0, 2, 63]


def test_slots_run_out() -> None:
    memory = bytearray(_layout.SIZE)
    slots = Board(memory).slots
    taken = [slots.take(1, 0, ROOT) for _ in range(_layout.SLOTS + 1)]
    assert taken == [*range(_layout.SLOTS), _layout.NO_SLOT]
    assert int.from_bytes(memory[272:280], "little") == 1
    overdue = [slots.take_overdue(1, 2, 0, 0, ROOT) for _ in range(_layout.OVERDUE + 1)]
    assert overdue == [*range(_layout.SLOTS, _layout.SLOTS + _layout.OVERDUE), _layout.NO_SLOT]
    assert int.from_bytes(memory[296:300], "little") == _layout.OVERDUE
    assert int.from_bytes(memory[1024 + 32 : 1024 + 36], "little") == _layout.IN_USE | _layout.ENDED
    slots.free(overdue[3])
    assert slots.take_overdue(1, 2, 0, 0, ROOT) == overdue[3]
    for call in (slots.progress, slots.free):
        call(_layout.NO_SLOT)
    slots.mark(_layout.NO_SLOT, 1)
    assert slots.flag(_layout.NO_SLOT, 1) > 0


def test_flagged_now() -> None:
    memory = bytearray(_layout.SIZE)
    slots = Board(memory).slots
    slot = slots.take(1, 0, ROOT)
    now = slots.flag(slot, _layout.STREAMING)
    assert struct.unpack_from("<QQQQI", memory, 4096) == (2, 1, now, 0, _layout.IN_USE | _layout.STREAMING)
    later = slots.progress(slot)
    assert now <= later <= slots.finish(slot, 200, now)
    assert struct.unpack_from("<QQQQI", memory, 4096) == (2, 1, later, 0, 0)


def test_a_free_slot_is_nobody_s(stores: Any) -> None:
    slots = stores.Slots(bytearray(_layout.SIZE))
    slot = slots.take(1, 0, ROOT)
    slots.free(slot)
    for name, *rest in (("free",), ("mark", 1), ("flag", 1), ("finish", 200, 1)):
        with pytest.raises(ValueError, match=f"slot {slot} is not in use"):
            getattr(slots, name)(slot, *rest)
    assert slots.progress(slot, 7) == 7
    assert [slots.take(1, 0, ROOT) for _ in range(2)] == [slot, slot + 1]


@pytest.mark.usefixtures("restless")
def test_each_step_is_one_for_all_threads(stores: Any) -> None:
    memory = bytearray(_layout.SIZE)
    slots = stores.Slots(memory)

    def work() -> None:
        for _ in range(2000):
            slots.finish(slots.take(1, 0, ROOT), 200, 1, 3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (slots.started, slots.in_flight()) == (8000, 0)
    assert struct.unpack_from("<QQ", memory, 192) == (8000, 0)
    assert struct.unpack_from("<Q", memory, 288) == (16000,)


def test_only_a_board_is_mapped() -> None:
    fd = os.memfd_create("short")
    with pytest.raises(ValueError, match="0 bytes"):
        Board.open(fd)
    fd = os.memfd_create("board")
    os.ftruncate(fd, _layout.SIZE)
    copy = os.dup(fd)
    Board.open(fd).write_header(7)
    assert os.pread(copy, 8, 0) == b"GOSUPER1"
    os.close(copy)
