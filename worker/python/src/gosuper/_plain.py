"""What each request stores on the board and on the fleet page, in Python: _speed.c is the same, compiled.

Words are stored through memoryviews of their own size, which CPython copies as one machine word. Each method is one step
for all threads. Times are CLOCK_MONOTONIC nanoseconds.
"""

from __future__ import annotations

import mmap
import struct
import threading
from time import monotonic_ns

from gosuper._fleet import BEAT, BUSY, OPEN
from gosuper._layout import ENDED, IN_USE, NO_SLOT, OVERDUE, SIZE, SLOTS, TEXTS

# Indexes into the words of 8 bytes, and of 4 bytes where the name says so.
_SLOT_COUNT32, _OVERDUE32 = 20 // 4, 296 // 4
_STARTED, _FINISHED, _UNSLOTTED, _DURATION, _HISTOGRAM = 128 // 8, 192 // 8, 272 // 8, 288 // 8, 512 // 8
_COUNTERS_END = 1024 // 8

# These are native, since they copy a word as one, and a slot in order.
_TIMES = struct.Struct("@QQQQI")  # sequence, start, progress, deadline and flags
_ALL = struct.Struct(f"@QQQQI{TEXTS}s")
_AT = [(4096 + 256 * i) // 8 for i in range(SLOTS)] + [(1024 + 256 * i) // 8 for i in range(OVERDUE)]
"""Where each slot begins, in words of 8 bytes."""


class Slots:
    """The requests on a board: its slots, and what is counted of them."""

    def __init__(self, memory: mmap.mmap | bytearray | memoryview, /) -> None:
        self._bytes = memoryview(memory)
        if len(self._bytes) != SIZE:
            raise ValueError(f"{len(self._bytes)} bytes, not {SIZE} that are aligned")
        self._words = self._bytes.cast("Q")
        self._words32 = self._bytes.cast("I")
        self._lock = threading.Lock()
        self._free = list(reversed(range(SLOTS)))
        self._free_overdue = list(reversed(range(SLOTS, SLOTS + OVERDUE)))
        self._used = self._used_overdue = 0  # the slots that were ever in use, so that nobody need look at the others
        self._sequence = [0] * len(_AT)
        self._shown = [b""] * len(_AT)  # what is in each slot from its flags on, but for these
        self._flags = [0] * len(_AT)
        self._counts = [0] * _COUNTERS_END  # what is counted, where it is in the words: nothing is read from there
        self.started = 0
        """The requests that take has counted."""

    def take(self, start: int, deadline: int, texts: bytes, /) -> int:
        """Count a request that begins, and put it into a free slot; NO_SLOT, and counted too, if there is none.

        The deadline is 0 if there is none. What it says comes from the function texts.
        """
        with self._lock:
            words = self._words
            words[_STARTED] = self.started = self.started + 1
            if not self._free:
                words[_UNSLOTTED] = self._counts[_UNSLOTTED] = self._counts[_UNSLOTTED] + 1
                return NO_SLOT
            slot = self._free.pop()
            if slot >= self._used:
                self._words32[_SLOT_COUNT32] = self._used = slot + 1
            self._fill(slot, start, start, deadline, IN_USE, texts)
            return slot

    def take_overdue(self, start: int, progress: int, deadline: int, flags: int, texts: bytes, /) -> int:
        """Show a request past its deadline for which take had no slot; NO_SLOT if as many are shown already."""
        with self._lock:
            if not self._free_overdue:
                return NO_SLOT
            slot = self._free_overdue.pop()
            if slot - SLOTS >= self._used_overdue:
                self._words32[_OVERDUE32] = self._used_overdue = slot - SLOTS + 1
            self._fill(slot, start, progress, deadline, IN_USE | ENDED | flags, texts)
            return slot

    def progress(self, slot: int, at: int | None = None, /) -> int:
        """Record a sign of life of the request in the slot, by default now; when that is."""
        now = monotonic_ns() if at is None else at
        if slot >= 0:
            self._words[_AT[slot] + 2] = now
        return now

    def flag(self, slot: int, flags: int, /) -> int:
        """Show how far the request in the slot has got, by flags beside IN_USE, which is progress; when that is."""
        now = monotonic_ns()
        if slot >= 0:
            self._words[_AT[slot] + 2] = now
            self._show(slot, IN_USE | flags)
        return now

    def mark(self, slot: int, flags: int, /) -> None:
        """Add flags to a slot that is in use."""
        if slot >= 0:
            self._show(slot, self._flags[slot] | flags)

    def finish(self, slot: int, status: int, start: int, at: int | None = None, /) -> int:
        """Give the slot of a request back, and count it: it ends with this HTTP status, by default now; when that is.

        A status outside 100 to 599 is in no class, nor is anything else that an application says.
        """
        now = monotonic_ns() if at is None else at
        duration = max(0, now - start)
        bits = duration.bit_length()
        if bits > 45:
            bucket = _HISTOGRAM + 63
        elif bits > 14:
            bucket = _HISTOGRAM - 29 + 2 * bits + (duration >> (bits - 2) & 1)
        else:
            bucket = _HISTOGRAM
        with self._lock:
            if slot >= 0:
                self._release(slot)
            words, counts = self._words, self._counts
            words[_FINISHED] = counts[_FINISHED] = counts[_FINISHED] + 1
            if isinstance(status, int) and 100 <= status < 600:
                of = _FINISHED + status // 100
                words[of] = counts[of] = counts[of] + 1
            words[bucket] = counts[bucket] = counts[bucket] + 1
            words[_DURATION] = counts[_DURATION] = counts[_DURATION] + duration
        return now

    def free(self, slot: int, /) -> None:
        """Give the slot back."""
        if slot >= 0:
            with self._lock:
                self._release(slot)

    def in_flight(self) -> int:
        """How many requests have begun and are not finished."""
        return self.started - self._counts[_FINISHED]

    def _fill(self, slot: int, start: int, progress: int, deadline: int, flags: int, texts: bytes) -> None:
        at, sequence = _AT[slot], self._sequence[slot]  # which is odd while the slot is being written
        if self._shown[slot] is texts:
            _TIMES.pack_into(self._bytes, 8 * at, sequence + 1, start, progress, deadline, flags)
        else:
            _ALL.pack_into(self._bytes, 8 * at, sequence + 1, start, progress, deadline, flags, texts)
            self._shown[slot] = texts
        self._flags[slot] = flags
        self._words[at] = self._sequence[slot] = sequence + 2

    def _show(self, slot: int, flags: int) -> None:
        if not self._flags[slot]:
            raise ValueError(f"slot {slot} is not in use")
        self._words32[2 * _AT[slot] + 8] = self._flags[slot] = flags

    def _release(self, slot: int) -> None:
        self._show(slot, 0)
        (self._free if slot < SLOTS else self._free_overdue).append(slot)


class Place:
    """What one worker says on the fleet page of how busy it is."""

    def __init__(self, memory: memoryview[int] | bytearray, /) -> None:
        self._words = memoryview(memory).cast("B").cast("Q")
        if len(self._words) != 8:
            raise ValueError(f"{8 * len(self._words)} bytes, not 64 that are aligned")
        self.busy = 0
        self.open = 0
        self._beat = 0

    def count(self, busy: int, open: int, /) -> None:
        """Add to both, and say so. The beat, which moves, is a sign of life."""
        words = self._words
        words[OPEN] = self.open = self.open + open
        words[BUSY] = self.busy = self.busy + busy
        words[BEAT] = self._beat = self._beat + 1
