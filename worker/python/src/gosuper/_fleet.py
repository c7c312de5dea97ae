"""The fleet page: how busy each worker is, for all others to see."""

from __future__ import annotations

import mmap
import os
import struct
import sys
from typing import NamedTuple

_PLACE = 64 // 8
_ALL = struct.Struct("@QQQQQ")
BUSY, CAPACITY, BEAT, ID, OPEN = range(5)
"""What the words of a place are."""


class Occupant(NamedTuple):
    """What the worker in one place says, in the order in which it says it. The id is 0 where there is none."""

    busy: int
    capacity: int
    beat: int
    id: int
    open: int


class Fleet:
    """The advisory memory that all workers can write, in words of 8 bytes, 8 for each place."""

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        self._bytes = memoryview(memory)
        self._words = self._bytes.cast("Q")
        self.places = len(self._words) // _PLACE

    @classmethod
    def open(cls, fd: int) -> Fleet:
        """Map the page behind a descriptor, which is closed. OSError and ValueError say that it is none."""
        try:
            size = os.fstat(fd).st_size
            if sys.byteorder != "little" or size <= 0 or size % 4096 != 0:
                raise ValueError(f"{size} bytes are no fleet page")
            return cls(mmap.mmap(fd, size, mmap.MAP_SHARED))
        finally:
            os.close(fd)

    def busy(self, place: int) -> int:
        """How busy the worker in a place is, -1 if nobody accepts connections there."""
        at = _PLACE * place
        return self._words[at] if self._words[at + ID] else -1

    def occupant(self, place: int) -> Occupant:
        """Read a place, which must be less than places."""
        return Occupant._make(self.read(place))

    def read(self, place: int) -> tuple[int, int, int, int, int]:
        """What makes an occupant of it, for those who are in a hurry."""
        return _ALL.unpack_from(self._bytes, 8 * _PLACE * place)

    def place(self, place: int) -> memoryview[int]:
        """The words of a place, which must be less than places, for the worker that has it."""
        return self._words[_PLACE * place : _PLACE * (place + 1)]
