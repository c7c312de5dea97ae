"""What keeps this worker busy: requests, and connections that have not sent their first one yet."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

from gosuper._fleet import CAPACITY, ID, Fleet
from gosuper._stores import Place

FRESH = 1_000_000_000
"""For how long a connection that has sent no request counts, in nanoseconds (FreshConnection of the protocol)."""


class Gate:
    """Counts what the worker is at work on, tells the fleet, and says whether there is room for another connection.

    A connection's first request takes over what the connection counted. Requests are never held back: the connections
    that they come on cannot go anywhere else. Only the thread of the event loop uses it.
    """

    def __init__(self, limit: int = 0, fleet: Fleet | None = None, place: int = 0, ident: int = 0) -> None:
        self.ended = 0
        """Requests so far."""
        self.closed = 0
        """Connections so far."""
        self._limit = limit
        if fleet is None or not 0 <= place < fleet.places:
            fleet, place = Fleet(bytearray(64)), 0  # a worker of its own tells nobody, in memory of its own
        self._words = fleet.place(place)
        self._place = Place(self._words)
        self._id = ident
        self._fresh: dict[object, int] = {}  # when they were admitted, oldest first
        self._oldest = 0  # none was admitted before
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._place.count(0, 0)

    @property
    def busy(self) -> int:
        """The requests that the worker is at work on, and the connections that have sent none yet."""
        return self._place.busy

    @property
    def open(self) -> int:
        """The connections that are open."""
        return self._place.open

    def full(self) -> bool:
        """Whether there is no room for another connection."""
        return 0 < self._limit <= self.busy

    def room(self) -> int:
        """How busy the worker may be at most to have room."""
        return self._limit - 1

    def present(self, accepts: bool) -> None:
        """Tell the others whether this worker accepts connections at present."""
        if accepts:
            self._words[CAPACITY] = self._limit
        self._words[ID] = self._id if accepts else 0

    def admit(self, connection: object) -> None:
        """Count a connection that was accepted."""
        now = monotonic_ns()
        if not self._fresh:
            self._oldest = now
        self._fresh[connection] = now
        self._place.count(1, 1)

    def begin(self, connection: object) -> None:
        """Count a request that begins on a connection; finish follows."""
        if self._fresh and self._fresh.pop(connection, None) is not None:
            return
        self._place.count(1, 0)

    def finish(self) -> None:
        """Take a request off, when the application is not at work on it any more."""
        self.ended += 1
        self._place.count(-1, 0)
        if self._waiting:
            self._nudge()

    def forget(self, connection: object) -> None:
        """Take off a connection that is closed."""
        self.closed += 1
        fresh = self._fresh.pop(connection, None) is not None
        self._place.count(-1 if fresh else 0, -1)
        if self._waiting:
            self._nudge()

    def expire_fresh(self, now: int) -> int:
        """Take off the connections that are not fresh any more; how long the next one has left at least, 0 if there is
        none."""
        if not self._fresh:
            return 0
        left = self._oldest + FRESH - now
        if left > 0:
            return left
        gone = 0
        while self._fresh:
            connection, admitted = next(iter(self._fresh.items()))
            left = admitted + FRESH - now
            if left > 0:
                self._oldest = admitted
                break
            del self._fresh[connection]
            gone += 1
            left = 0
        if gone:
            self._place.count(-gone, 0)
        return left

    def await_mark(self, mark: int, wake: Callable[[], None]) -> None:
        """Call a function, once, when the worker is no busier than the mark."""
        self._waiting.append((mark, wake))

    def _nudge(self) -> None:
        due = [wake for mark, wake in self._waiting if self.busy <= mark]
        self._waiting = [(mark, wake) for mark, wake in self._waiting if self.busy > mark]
        for wake in due:
            wake()
