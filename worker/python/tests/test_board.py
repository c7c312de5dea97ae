"""The board against the bytes that every language's implementation is held to."""

import os
import struct
from pathlib import Path

import pytest

from gosuper import _board
from gosuper._board import Board, texts

GOLDEN = Path(__file__).parents[2] / "scoreboard/testdata/board-v1.bin"


def test_golden() -> None:
    memory = bytearray(_board.SIZE)
    board = Board(memory)
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
        board.finished(status, duration)
    board.timed_out()
    board.timed_out()
    board.beat()
    board.failed(100)
    board.succeeded(50)
    board.succeeded(40)
    assert [board.failed(200), board.failed(300)] == [1, 2]
    assert board.take(1000, 0, texts(b"GET", b"/agent/stream", b"")) == 0
    path = "/a\x1b[2J\u00e9\n".encode()
    assert board.take(2000, 9000, texts(b"POST", path, b"4bf92f35-77b3-4da6-a3ce-929d0e0e4736")) == 1
    board._free.remove(5)
    board._free.append(5)
    assert board.take(3000, 0, texts(b"PROPFIND-AND-MORE", b"/" + 13 * b"0123456789", 65 * b"x")) == 5
    assert board.take(4000, 0, texts(b"DELETE", b"/gone", b"id")) == 2
    board.progress(0, 1500)
    board.mark(0, _board.STREAMING)
    board.mark(1, _board.ENDED)
    board.mark(5, _board.UPGRADED)
    board.free(2)
    memory[72:80] = 0x8000000000000005.to_bytes(8, "little")
    memory[64:72] = 0x0123456789ABCDEF.to_bytes(8, "little")
    memory[80:88] = (1).to_bytes(8, "little")
    memory[88:96] = bytes(8)
    memory[96:104] = (7).to_bytes(8, "little")
    memory[104:112] = (3).to_bytes(8, "little")
    board.set_state(_board.DRAINING)

    want = GOLDEN.read_bytes()
    # The bytes are of more requests than have slots here, and of one that has ended in no class and without a time.
    counts = struct.Struct("<Q56xQ")
    assert counts.unpack_from(memory, 128) == (board.started, 7) == (4, 7)
    counts.pack_into(memory, 128, 9, 8)
    assert [i for i in range(_board.SIZE) if memory[i] != want[i]] == []
    assert board.drain_until() == 0x0123456789ABCDEF
    assert board.abort_follows()
    board.look()
    assert (board.holds(), board.slot(), board.busy_at) == (False, 6, 3)
    assert [i for i in range(-1, 65) if board.leaving(i)] == [0, 2, 63]


def test_slots_run_out() -> None:
    memory = bytearray(_board.SIZE)
    board = Board(memory)
    taken = [board.take(1, 0, texts(b"GET", b"/", b"")) for _ in range(_board.SLOTS + 1)]
    assert taken == [*range(_board.SLOTS), _board.NO_SLOT]
    assert int.from_bytes(memory[272:280], "little") == 1
    overdue = [board.take_overdue(1, 2, 0, 0, texts(b"GET", b"/", b"")) for _ in range(_board.OVERDUE + 1)]
    assert overdue == [*range(_board.SLOTS, _board.SLOTS + _board.OVERDUE), _board.NO_SLOT]
    assert int.from_bytes(memory[296:300], "little") == _board.OVERDUE
    assert int.from_bytes(memory[1024 + 32 : 1024 + 36], "little") == _board.IN_USE | _board.ENDED
    board.free(overdue[3])
    assert board.take_overdue(1, 2, 0, 0, texts(b"GET", b"/", b"")) == overdue[3]
    board.progress(_board.NO_SLOT, 1)
    board.mark(_board.NO_SLOT, 1)
    board.free(_board.NO_SLOT)


def test_only_a_board_is_mapped() -> None:
    fd = os.memfd_create("short")
    with pytest.raises(ValueError, match="0 bytes"):
        Board.open(fd)
    fd = os.memfd_create("board")
    os.ftruncate(fd, _board.SIZE)
    copy = os.dup(fd)
    Board.open(fd).write_header(7)
    assert os.pread(copy, 8, 0) == b"GOSUPER1"
    os.close(copy)
