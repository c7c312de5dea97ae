"""The worker's side of the scoreboard: memory that it shares with its master.

The layout is that of version 1, as the package comment of worker/scoreboard says. Words are stored through memoryviews of
their own size, which CPython copies as one machine word. Everything but the requests, whose methods are atomic, is written
by the thread of the event loop, or by whoever holds the lock of the ledger, so that plain stores do for counters.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys

from gosuper._layout import SIZE
from gosuper._stores import Slots

STARTING, READY, DRAINING = 1, 2, 3

# Indexes into the words of 8 bytes, and of 4 bytes where the name says so.
_STATE32, _FAILURES32 = 28 // 4, 300 // 4
_BEAT, _CAN = 32 // 8, 40 // 8
_DRAIN_UNTIL, _LEAVING, _ABORT, _HOLD, _SLOT, _BUSY_AT = 64 // 8, 72 // 8, 80 // 8, 88 // 8, 96 // 8, 104 // 8
_CAN_HOLD, _CAN_TELL = 1, 2
_TIMEOUTS, _ACCEPTED, _OPEN, _LOG_DROPPED = 240 // 8, 256 // 8, 264 // 8, 280 // 8
_FAILING, _SUCCEEDED = 304 // 8, 312 // 8

_HEADER = struct.Struct("<IIIIII")  # version, header size, slot size, slots in use, pid, state
_MAGIC = int.from_bytes(b"GOSUPER1", "little")
_TEXTS = struct.Struct("<BBBx16s128s64s")  # what follows the flags of a slot
_METHOD, _PATH, _ID = 16, 128, 64
_PRINTABLE = bytes(c if 0x20 <= c <= 0x7E else ord("?") for c in range(256))


class Board:
    """One board, mapped or, for a process without a master, in memory of its own."""

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        if len(memory) != SIZE:
            raise ValueError(f"the board has {len(memory)} bytes, not {SIZE}")
        self._bytes = memoryview(memory)
        self._words = self._bytes.cast("Q")
        self._words32 = self._bytes.cast("I")
        self.slots = Slots(memory)
        """Its requests."""
        self.busy_at = 0
        """The requests in flight of which the master is to hear, once; 0: of none."""
        self._accepted = self._open = 0
        self._failures = 0  # in a row
        self._succeeded = 0

    @classmethod
    def unshared(cls) -> Board:
        """A board that nobody else sees."""
        return cls(bytearray(SIZE))

    @classmethod
    def open(cls, fd: int) -> Board:
        """Map the board behind a descriptor, which is closed.

        OSError and ValueError say that it is no board; the worker is a plain one then.
        """
        try:
            if sys.byteorder != "little":
                raise ValueError("the board wants a little-endian machine")
            size = os.fstat(fd).st_size
            if size != SIZE:
                raise ValueError(f"the board has {size} bytes, not {SIZE}")
            return cls(mmap.mmap(fd, SIZE, mmap.MAP_SHARED))
        finally:
            os.close(fd)

    def write_header(self, pid: int) -> None:
        """Make the worker a cooperating one that is starting; the magic comes last."""
        _HEADER.pack_into(self._bytes, 8, 1, 4096, 256, 0, pid, STARTING)
        self._words[0] = _MAGIC

    def set_state(self, state: int) -> None:
        """Say what the worker is doing: STARTING, READY or DRAINING."""
        self._words32[_STATE32] = state

    def beat(self) -> None:
        """Give a sign of life."""
        self._words[_BEAT] += 1

    def drain_until(self) -> int:
        """When the master is going to kill this worker, in CLOCK_MONOTONIC nanoseconds, 0 if it has said nothing."""
        return self._words[_DRAIN_UNTIL]

    def leaving(self, index: int) -> bool:
        """Whether the listening socket of this index is to be accepted empty before it is closed."""
        return 0 <= index < 64 and bool(self._words[_LEAVING] >> index & 1)

    def abort_follows(self) -> bool:
        """Whether the abort signal comes at the end of the drain, and time to answer it."""
        return self._words[_ABORT] != 0

    def can_hold(self) -> None:
        """Say that this worker accepts nothing while it holds."""
        self._words[_CAN] |= _CAN_HOLD

    def can_tell(self) -> None:
        """Say that this worker says when it is busy."""
        self._words[_CAN] |= _CAN_TELL

    def look(self) -> None:
        """See at how many requests in flight this worker is to say that it is busy."""
        self.busy_at = self._words[_BUSY_AT]

    def holds(self) -> bool:
        """Whether this worker is a spare, which accepts nothing."""
        return self._words[_HOLD] != 0

    def slot(self) -> int:
        """The slot of a worker that was a spare; -1 if it still is one, or never was."""
        return self._words[_SLOT] - 1

    def accepted(self) -> None:
        """Count a connection that was accepted and is now open."""
        self._words[_ACCEPTED] = self._accepted = self._accepted + 1
        self._words[_OPEN] = self._open = self._open + 1

    def closed(self) -> None:
        """Count an accepted connection that is closed."""
        self._words[_OPEN] = self._open = self._open - 1

    def failed(self, now: int) -> int:
        """Count a request, finished at a time, that the application failed to answer; how many there are in a row."""
        if self._failures == 0:
            self._words[_FAILING] = now
        self._words32[_FAILURES32] = self._failures = self._failures + 1
        return self._failures

    def succeeded(self, start: int) -> None:
        """End such a row by a request that began at a time."""
        if self._failures:
            self._words32[_FAILURES32] = self._failures = 0
        if start > self._succeeded:
            self._words[_SUCCEEDED] = self._succeeded = start

    def timed_out(self) -> None:
        """Count a request that was ended at its deadline."""
        self._words[_TIMEOUTS] += 1

    def log_dropped(self) -> None:
        """Count a line of the access log that was dropped."""
        self._words[_LOG_DROPPED] += 1


def texts(method: bytes, path: bytes, ident: bytes) -> bytes:
    """What a slot says of a request, whose texts may be anything and are cut. Whoever says the same again keeps it."""
    return _TEXTS.pack(
        min(len(method), _METHOD),
        min(len(path), _PATH),
        min(len(ident), _ID),
        method.translate(_PRINTABLE),  # what does not fit is cut by the format
        path.translate(_PRINTABLE),
        ident.translate(_PRINTABLE),
    )
