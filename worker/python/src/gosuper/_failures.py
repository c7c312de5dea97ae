"""How the application answers, which tells of a worker that lives on and only fails."""

from __future__ import annotations

import time

from gosuper._board import Board
from gosuper._notify import Notifier

_PROBES = (b"/metrics", b"/ping")
_PROBES_BEGIN = (b"/health", b"/live", b"/ready")


class Failures:
    """Counts the requests in a row that the application has failed to answer, and has the master look at each multiple of
    a limit.

    Probes count neither way: they may go well with a worker that only fails.
    """

    def __init__(self, limit: int, board: Board, notify: Notifier) -> None:
        self._limit = limit
        self._board = board
        self._notify = notify

    def judge(self, start: int, status: int, path: bytes) -> None:
        """Count how a request that began at a time, and is over now, was answered; nothing without a limit."""
        if self._limit == 0 or path.startswith(_PROBES_BEGIN) or path in _PROBES:
            return
        if status < 500:
            self._board.succeeded(start)
        elif self._board.failed(time.monotonic_ns()) % self._limit == 0:
            self._notify.failing()
