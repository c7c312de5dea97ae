"""What this process has of its master: who it is, its board, its reports, and the notice to finish."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from gosuper import _board
from gosuper._board import Board, texts
from gosuper._drain import Drain
from gosuper._environ import Environment
from gosuper._failures import Failures
from gosuper._inherit import board, environment, inherit
from gosuper._layout import NO_SLOT
from gosuper._notify import Notifier
from gosuper._stores import Slots
from gosuper._stream import Streams


@dataclass(eq=False)
class Worker:
    """Who this worker is, for metrics labels, shards, ports and GPUs.

    All numbers are 0 in a process that runs alone, and in one that only loads the application: a worker that is forked
    from it has the same object, which then says who it is. The id is never used twice; a replacement has the slot of the
    worker it replaces, and a spare has -1 until it takes one; no two living workers have the same place; generation
    counts accepted configurations, from 1.
    """

    id: int = 0
    slot: int = 0
    place: int = 0
    generation: int = 0
    supervised: bool = False


class Process:
    """Everything that there is once in a process.

    What the application may hold on to when it is imported is the same object in a process that is forked afterwards.
    """

    environment: Environment
    board: Board
    notify: Notifier

    def __init__(self, env: Environment, board: Board) -> None:
        self.drain = Drain()
        self.stream = Streams(self.drain)
        self.worker = Worker()
        self._lock = threading.Lock()  # guards the board where several threads write it
        self.become(env, board)

    def become(self, env: Environment, board: Board) -> None:
        """Be what an environment says, from now on."""
        self.environment = env
        self.board = board
        self.notify = Notifier(env.loader if env.loader >= 0 else env.notify)
        self._failures = Failures(env.limits.failures, board, self.notify)
        worker = self.worker
        worker.id, worker.slot, worker.place = env.id, env.slot, env.place
        worker.generation, worker.supervised = env.generation, env.supervised

    def introduce(self, number: str) -> bool:
        """Become the worker that the master has asked for by this number, and report whether it is still wanted."""
        asked = self.notify
        self.become(*inherit())
        asked.send(f"SPAWNED={number}")
        asked.close()
        message, _ = self.notify.hear()
        return b"GO=1" in message.split(b"\n")

    def stop_signal(self) -> signal.Signals:
        """The signal that asks this worker to drain."""
        stop: signal.Signals = getattr(signal, self.environment.stop_signal, signal.SIGTERM)
        return stop

    def extension(self, draining: object) -> dict[str, object]:
        """What is in the scope of every request under "extensions" and "gosuper"."""
        worker = self.worker
        return {
            "draining": draining,
            "worker": worker.id,
            "slot": worker.slot,
            "place": worker.place,
            "deadline": None,
        }

    def take_slot(self) -> int:
        """The slot of this worker, which one that was a spare has from now on."""
        slot = self.board.slot()
        if slot >= 0:
            self.worker.slot = slot
            os.environ["GOSUPER_SLOT"] = str(slot)
        return self.worker.slot

    def serve(self) -> None:
        """Say that requests are being accepted, and hear of the drain beside whoever handles the stop signal.

        It is for servers that are not this package's own. Where nobody handles the signal it does nothing but tell.
        """
        self.board.set_state(_board.READY)
        if threading.current_thread() is threading.main_thread():
            number = self.stop_signal()
            before = signal.getsignal(number)

            # The handler runs between two bytecodes of this thread, whatever locks it holds, so another one does the rest.
            waker, asked = socket.socketpair()

            def listen() -> None:
                asked.recv(1)
                self.finish()

            threading.Thread(target=listen, name="gosuper-drain", daemon=True).start()

            def handle(signum: int, frame: FrameType | None) -> None:
                waker.send(b"\0")
                if callable(before):
                    before(signum, frame)

            signal.signal(number, handle)
        self.notify.ready()

    def finish(self) -> None:
        """Begin the drain: the board, the master and the application hear of it."""
        self.board.set_state(_board.DRAINING)
        self.notify.stopping()
        self.drain.begin()

    @contextlib.contextmanager
    def request(self, method: str, path: str) -> Iterator[Work]:
        """Account for a request of any protocol, in any thread, until the block ends."""
        start = time.monotonic_ns()
        board, limit = self.board, self.environment.limits.request
        with self._lock:
            slot = board.slots.take(start, start + limit if limit else 0, texts(method.encode(), path.encode(), b""))
            number = board.slots.started
            if board.busy_at:
                self.notify.busy(board)
        if number == self.environment.limits.requests:
            self.notify.recycle("max_requests")
        work = Work(board.slots, slot)
        telling = True
        try:
            yield work
        except BaseException as error:
            telling = work.status != 0 or isinstance(error, Exception)  # and not cancelled by a server
            work.status = work.status or 500
            raise
        finally:
            with self._lock:
                work._slot = NO_SLOT  # it may be another's from here on
                board.slots.finish(slot, work.status or 200, start)
                if telling:
                    self._failures.judge(start, work.status or 200, path.encode())


class Work:
    """A request of a server of one's own. Its status is one of HTTP, 200 unless it is set, 500 after an exception."""

    def __init__(self, slots: Slots, slot: int) -> None:
        self.status = 0
        self._slots = slots
        self._slot = slot

    def progress(self) -> None:
        """Say that the request gets on, which starts its time without progress anew."""
        self._slots.progress(self._slot)


process = Process(environment, board)
