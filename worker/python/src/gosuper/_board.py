"""The worker's side of the scoreboard: memory that it shares with its master.

The layout is that of version 1, as the package comment of worker/scoreboard says. Words are stored through memoryviews of
their own size, which CPython copies as one machine word. Everything is written by the thread of the event loop, or by
whoever holds the lock of the ledger, so that plain stores do for counters.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys

SIZE = 65536
SLOTS = 240
OVERDUE = 12
NO_SLOT = -1

STARTING, READY, DRAINING = 1, 2, 3
IN_USE, STREAMING, UPGRADED, ENDED = 1, 2, 4, 8

# Indexes into the words of 8 bytes, and of 4 bytes where the name says so.
_SLOT_COUNT32, _STATE32, _OVERDUE32, _FAILURES32 = 20 // 4, 28 // 4, 296 // 4, 300 // 4
_BEAT, _CAN = 32 // 8, 40 // 8
_DRAIN_UNTIL, _LEAVING, _ABORT, _HOLD, _SLOT, _BUSY_AT = 64 // 8, 72 // 8, 80 // 8, 88 // 8, 96 // 8, 104 // 8
_CAN_HOLD, _CAN_TELL = 1, 2
_STARTED, _FINISHED, _TIMEOUTS = 128 // 8, 192 // 8, 240 // 8
_ACCEPTED, _OPEN, _UNSLOTTED, _LOG_DROPPED, _DURATION = 256 // 8, 264 // 8, 272 // 8, 280 // 8, 288 // 8
_FAILING, _SUCCEEDED, _HISTOGRAM = 304 // 8, 312 // 8, 512 // 8
_COUNTERS_END = 1024 // 8

_HEADER = struct.Struct("<IIIIII")  # version, header size, slot size, slots in use, pid, state
_MAGIC = int.from_bytes(b"GOSUPER1", "little")
_TEXTS = struct.Struct("<BBBx16s128s64s")  # what follows the flags of a slot
# These are native, since they copy a word as one, and a slot in order.
_TIMES = struct.Struct("@QQQQI")  # sequence, start, progress, deadline and flags
_ALL = struct.Struct("@QQQQI212s")
_METHOD, _PATH, _ID = 16, 128, 64
_AT = [(4096 + 256 * i) // 8 for i in range(SLOTS)] + [(1024 + 256 * i) // 8 for i in range(OVERDUE)]
"""Where each slot begins, in words of 8 bytes."""
_FLAGS = [2 * at + 8 for at in _AT]
"""Where the flags of each slot are, in words of 4 bytes."""
_PRINTABLE = bytes(c if 0x20 <= c <= 0x7E else ord("?") for c in range(256))


class Board:
    """One board, mapped or, for a process without a master, in memory of its own."""

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        if len(memory) != SIZE:
            raise ValueError(f"the board has {len(memory)} bytes, not {SIZE}")
        self._bytes = memoryview(memory)
        self._words = self._bytes.cast("Q")
        self._words32 = self._bytes.cast("I")
        self._free = list(reversed(range(SLOTS)))
        self._free_overdue = list(reversed(range(SLOTS, SLOTS + OVERDUE)))
        self._used = 0  # the slots that were ever in use, so that nobody need look at the others
        self._sequence = [0] * (SLOTS + OVERDUE)
        self._shown = [b""] * (SLOTS + OVERDUE)  # what is in each slot from its flags on, but for these
        self.progressed = [self._words[at + 2 : at + 3] for at in _AT]
        """The word of each slot that says when there was last a sign of life; the last one, at NO_SLOT, is nobody's."""
        self.progressed.append(memoryview(bytearray(8)).cast("Q"))
        self.busy_at = 0
        """The requests in flight of which the master is to hear, once; 0: of none."""
        self.started = 0
        """The requests that take has counted."""
        self._counts = [0] * _COUNTERS_END  # what is counted, where it is in the words: to read those takes longer
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

    def in_flight(self) -> int:
        """How many requests have begun and are not finished."""
        return self.started - self._counts[_FINISHED]

    def holds(self) -> bool:
        """Whether this worker is a spare, which accepts nothing."""
        return self._words[_HOLD] != 0

    def slot(self) -> int:
        """The slot of a worker that was a spare; -1 if it still is one, or never was."""
        return self._words[_SLOT] - 1

    def accepted(self) -> None:
        """Count a connection that was accepted and is now open."""
        words, counts = self._words, self._counts
        words[_ACCEPTED] = counts[_ACCEPTED] = counts[_ACCEPTED] + 1
        words[_OPEN] = counts[_OPEN] = counts[_OPEN] + 1

    def closed(self) -> None:
        """Count an accepted connection that is closed."""
        self._words[_OPEN] = self._counts[_OPEN] = self._counts[_OPEN] - 1

    def finished(self, status: int, duration: int, slot: int = NO_SLOT) -> None:
        """Count a request that ends with this HTTP status after so many nanoseconds, and give its slot back.

        A status outside 100 to 599 is in no class.
        """
        if 0 <= slot < SLOTS:
            self._words32[_FLAGS[slot]] = 0
            self._free.append(slot)
        words, counts = self._words, self._counts
        words[_FINISHED] = counts[_FINISHED] = counts[_FINISHED] + 1
        if 100 <= status < 600:
            at = _FINISHED + status // 100
            words[at] = counts[at] = counts[at] + 1
        bits = duration.bit_length()
        if bits > 45:
            at = _HISTOGRAM + 63
        elif bits > 14:
            at = _HISTOGRAM - 29 + 2 * bits + (duration >> (bits - 2) & 1)
        else:
            at = _HISTOGRAM
        words[at] = counts[at] = counts[at] + 1
        words[_DURATION] = counts[_DURATION] = counts[_DURATION] + duration

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

    def take(self, start: int, deadline: int, texts: bytes) -> int:
        """Count a request that begins, and put it into a free slot; NO_SLOT, and counted too, if there is none.

        Times are CLOCK_MONOTONIC nanoseconds, deadline is 0 if there is none. What it says comes from the function texts.
        """
        words = self._words
        words[_STARTED] = self.started = self.started + 1
        if not self._free:
            words[_UNSLOTTED] += 1
            return NO_SLOT
        slot = self._free.pop()
        if slot >= self._used:
            self._words32[_SLOT_COUNT32] = self._used = slot + 1
        if self._shown[slot] is texts:
            at, sequence = _AT[slot], self._sequence[slot]
            _TIMES.pack_into(self._bytes, 8 * at, sequence + 1, start, start, deadline, IN_USE)
            words[at] = self._sequence[slot] = sequence + 2
        else:
            self._fill(slot, start, start, deadline, IN_USE, texts)
        return slot

    def take_overdue(self, start: int, progress: int, deadline: int, flags: int, texts: bytes) -> int:
        """Show a request past its deadline for which take had no slot; NO_SLOT if as many are shown already."""
        if not self._free_overdue:
            return NO_SLOT
        slot = self._free_overdue.pop()
        if slot - SLOTS >= self._words32[_OVERDUE32]:
            self._words32[_OVERDUE32] = slot - SLOTS + 1
        self._fill(slot, start, progress, deadline, IN_USE | ENDED | flags, texts)
        return slot

    def progress(self, slot: int, now: int) -> None:
        """Record a sign of life of the request in the slot."""
        self.progressed[slot][0] = now

    def mark(self, slot: int, flags: int) -> None:
        """Add flags to a slot that is in use."""
        if slot >= 0:
            self._words32[_FLAGS[slot]] |= flags

    def flag(self, slot: int, flags: int) -> None:
        """Show how far the request in the slot has got, by flags beside IN_USE."""
        if slot >= 0:
            self._words32[_FLAGS[slot]] = IN_USE | flags

    def free(self, slot: int) -> None:
        """Give the slot back."""
        if slot >= 0:
            self._words32[_FLAGS[slot]] = 0
            (self._free if slot < SLOTS else self._free_overdue).append(slot)

    def _fill(self, slot: int, start: int, progress: int, deadline: int, flags: int, texts: bytes) -> None:
        at, sequence = _AT[slot], self._sequence[slot]  # which is odd while the slot is being written
        _ALL.pack_into(self._bytes, 8 * at, sequence + 1, start, progress, deadline, flags, texts)
        self._shown[slot] = texts
        self._words[at] = self._sequence[slot] = sequence + 2


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
