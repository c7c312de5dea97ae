"""The worker protocol of gosuper for Python.

``python -m gosuper APP`` serves an application with uvicorn; this package is what the application itself may use. Without
gosuper everything here does nothing harmful. Importing it writes the header of the worker's board, and does no more.
"""

from __future__ import annotations

import contextlib
import socket

from gosuper import _inherit as _inherit
from gosuper._binary import run
from gosuper._environ import StrayWorkerError, inherited
from gosuper._process import Work, Worker
from gosuper._process import process as _process

__all__ = [
    "StrayWorkerError",
    "Work",
    "Worker",
    "draining",
    "extend_startup",
    "ready",
    "recycle",
    "request",
    "run",
    "sockets",
    "status",
    "stream",
    "wait_draining",
    "wait_draining_sync",
    "worker",
]

worker: Worker = _process.worker
"""Who this worker is."""

stream = _process.stream
"""``stream(iterator, farewell=None)`` ends an iterator of tokens politely when the worker drains."""


def draining() -> bool:
    """Whether this worker has been told to finish: end what takes long."""
    return _process.drain.begun()


async def wait_draining() -> None:
    """Wait until this worker is told to finish. It works in every event loop."""
    await _process.drain.wait()


def wait_draining_sync(timeout: float | None = None) -> bool:
    """Wait in a thread until this worker is told to finish, for so many seconds at most; whether it was."""
    return _process.drain.wait_sync(timeout)


def recycle(reason: str) -> bool:
    """Ask the master to replace this worker when convenient; it serves on until its replacement is ready.

    Only the first call is sent. False means that there is no master to hear it.
    """
    return _process.notify.recycle(reason)


def status(text: str) -> bool:
    """Show one line to whoever looks at ``gosuper status``, until the next; false without a master."""
    return _process.notify.status(text)


def extend_startup(seconds: float) -> bool:
    """Ask that the start may take so many more seconds from now; false without a master."""
    return _process.notify.extend_startup(seconds)


def sockets() -> list[socket.socket]:
    """The listening sockets that this worker has inherited, for a server of one's own; none in a process that runs alone.

    They are non-blocking and shared with all other workers: accept, and close, but neither listen nor shut down.
    StrayWorkerError says that another program stands between gosuper and this process.
    """
    _process.environment.require()
    return [inherited(fd) for fd in _process.environment.sockets]


def ready() -> None:
    """Say that a server of one's own accepts requests. From then on the stop signal begins the drain.

    A handler of that signal that was there before is called too; without one the program is to end by itself when it has
    heard of the drain and its last request is done.
    """
    _process.environment.require()
    _process.serve()


def request(method: str, path: str) -> contextlib.AbstractContextManager[Work]:
    """Account for a request of a server of one's own: a context manager with ``.progress()`` and ``.status``.

    It shows on the board, and the master replaces the worker if it exceeds its limits.
    """
    return _process.request(method, path)
