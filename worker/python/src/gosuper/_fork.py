"""How a process that was forked comes to be what one would be that was executed: a child of the master like any other."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_LOOK = 0.0001

_libc = ctypes.CDLL(None, use_errno=True)  # found before a fork, which is no time to look for it


def twice() -> int | None:
    """Make a process whose parent is gone: None in this one, and in the new one the process that is about to be gone.

    OSError says that no process came of it. Functions of os.register_at_fork are called for both forks.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    _libc.fflush(None)  # nor is anything that an extension has written to be written once more by each worker
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            raise OSError(0, f"the process between was killed by signal {-status}")
        if status:
            raise OSError(status, os.strerror(status))
        return None
    between = os.getpid()
    try:
        if os.fork():
            os._exit(0)
    except BaseException as error:
        os._exit(getattr(error, "errno", None) or 1)
    return between


def adopted(master: int, between: int) -> None:
    """Wait until the process between is gone, and die with the master from here on; without it, die now."""
    while os.getppid() == between:
        time.sleep(_LOOK)
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot set the death signal")
    if os.getppid() != master:
        os._exit(1)


def place(descriptors: list[int], end: int) -> None:
    """Make the i-th of these the descriptor i, and close what else is below the end. They are inherited up to 2."""
    count = len(descriptors)
    # One that has the place of another is moved out of its way first.
    apart = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, end) if fd < end else fd for fd in descriptors]
    for number, fd in enumerate(apart):
        os.dup2(fd, number, inheritable=number < 3)
        os.close(fd)
    os.closerange(count, end)


@contextlib.contextmanager
def or_exit() -> Iterator[None]:
    """What is raised in the block ends the process, and does not reach who called for the fork."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
        leave(1)


def leave(status: int) -> NoReturn:
    """End at once, and undo nothing of what other processes have, too."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
