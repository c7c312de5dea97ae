"""The worker protocol of gosuper for Python.

``python -m gosuper APP`` serves an application with uvicorn; this package is what the application itself may use. Without
gosuper everything here does nothing harmful. Importing it writes the header of the worker's board, and does no more.
"""

from __future__ import annotations

from gosuper import _inherit as _inherit
from gosuper._environ import StrayWorkerError
from gosuper._process import Worker
from gosuper._process import process as _process

__all__ = [
    "StrayWorkerError",
    "Worker",
    "draining",
    "extend_startup",
    "recycle",
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
    """Show one line to whoever looks at ``gosuper status``; false without a master."""
    return _process.notify.status(text)


def extend_startup(seconds: float) -> bool:
    """Ask that the start may take so many more seconds from now; false without a master."""
    return _process.notify.extend_startup(seconds)
