"""Reports to the master, in the text of sd_notify(3), one message for each write; and the little that it says itself."""

from __future__ import annotations

import re
import select
import socket

from gosuper._board import Board

_LONGEST = 4096
_LONGEST_HEARD = 65536
_LONGEST_REASON = 32
_MOST_DESCRIPTORS = 253
"""As many as the kernel passes with one message (SCM_MAX_FD)."""


class Notifier:
    """The descriptor that reports go to; without one they go nowhere.

    The descriptor itself proves who sends, and its hang-up means that the master is gone.
    """

    def __init__(self, fd: int = -1) -> None:
        self._socket = socket.socket(fileno=fd) if fd >= 0 else None
        self._recycling = False

    def fileno(self) -> int:
        """The descriptor, -1 if there is none."""
        return self._socket.fileno() if self._socket else -1

    def send(self, message: str) -> bool:
        """Send assignments, and report whether the master will see them. It never waits."""
        if self._socket is None:
            return False
        try:
            self._socket.send(message.encode(errors="replace")[:_LONGEST], socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def ready(self) -> bool:
        """Say that requests are being accepted."""
        return self.send("READY=1")

    def stopping(self) -> bool:
        """Say that this worker has begun to drain."""
        return self.send("STOPPING=1")

    def status(self, text: str) -> bool:
        """Show one line to humans."""
        return self.send("STATUS=" + _line(text))

    def extend_startup(self, seconds: float) -> bool:
        """Ask that the start may take so many more seconds from now."""
        return self.send(f"EXTEND_TIMEOUT_USEC={max(0, round(seconds * 1e6))}")

    def recycle(self, reason: str) -> bool:
        """Ask to be replaced, once: the worker serves on until its replacement is ready."""
        if self._recycling:
            return True
        self._recycling = self.send("X_GOSUPER_RECYCLE=" + _word(reason))
        return self._recycling

    def failing(self) -> bool:
        """Have the master look at the failures on the board."""
        return self.send("X_GOSUPER_FAILING=1")

    def busy(self, board: Board) -> None:
        """Say, once, that as many requests are in flight as the master wants to hear of, if there are."""
        if 0 < board.busy_at <= board.slots.in_flight():
            board.busy_at = 0
            self.send("X_GOSUPER_BUSY=1")

    def hear(self) -> tuple[bytes, list[int]]:
        """Wait for what the master says, and the descriptors that come with it; nothing at all says that it is gone."""
        if self._socket is None:
            return b"", []
        select.select([self._socket], [], [])  # it may be non-blocking, for all who share it
        message, descriptors, _, _ = socket.recv_fds(
            self._socket, _LONGEST_HEARD, _MOST_DESCRIPTORS, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        )
        return message, descriptors

    def close(self) -> None:
        """Report no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def gone(self) -> bool:
        """Whether the master has hung up; called when the descriptor is readable.

        Whatever it says instead, the words on the board say what it means.
        """
        if self._socket is None:
            return False
        try:
            return self._socket.recv(_LONGEST, socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


def _word(reason: str) -> str:
    """What the master takes for a reason: 32 small letters, digits and underscores at most."""
    return re.sub(r"[^a-z0-9]+", "_", reason.lower()).strip("_")[:_LONGEST_REASON] or "worker"


def _line(text: str) -> str:
    return " ".join(text.split())
