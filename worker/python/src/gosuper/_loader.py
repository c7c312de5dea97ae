"""The loader of a preloaded application: it has loaded it once, and makes a worker of itself when the master asks."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gosuper import _fork
from gosuper._process import Process

_KEPT_FREE = 64
"""So many descriptors, from 0 on, are kept free for those of a worker: what the application opens comes after them."""
_GPUS = ("/dev/nvidia", "/dev/kfd")


class Loader:
    """Serves the wishes of the master. It is made before the application is loaded."""

    def __init__(self, process: Process) -> None:
        self._process = process
        env = process.environment
        moved = fcntl.fcntl(env.loader, fcntl.F_DUPFD_CLOEXEC, _KEPT_FREE)
        process.notify.close()
        process.become(replace(env, loader=moved), process.board)
        # No interpreter that is about to end closes a bare descriptor: the master hears of the end when it has come, and
        # with its status.
        self._until_the_end = fcntl.fcntl(moved, fcntl.F_DUPFD_CLOEXEC, _KEPT_FREE)
        while (fd := os.open(os.devnull, os.O_RDONLY)) < _KEPT_FREE:
            pass
        os.close(fd)

    def run(self) -> None:
        """Say that the application is loaded, and make workers. It returns in each of them, and nowhere else."""
        notify = self._process.notify
        for text in list(obstacles()) or [""]:  # what was said of loading is over
            notify.status(text)
        gc.collect()
        gc.freeze()  # what is there is shared by all workers, so none of them is to look through it
        notify.ready()
        while True:
            message, descriptors = notify.hear()
            if not message:
                _fork.leave(0)
            if self._spawn(message, descriptors):
                return

    def _spawn(self, message: bytes, descriptors: list[int]) -> bool:
        """Make a worker, and report whether this is it."""
        words = _assignments(message)
        number = words.pop("SPAWN", "")
        try:
            master = int(words.pop("GOSUPER_MASTER_PID", ""))
            if not 3 <= len(descriptors) <= _KEPT_FREE:
                raise ValueError(f"a worker has 3 to {_KEPT_FREE} descriptors under preload, not {len(descriptors)}")
            between = _fork.twice()
        except (OSError, ValueError) as error:
            self._process.notify.send(f"FAILED={number}\ncannot make a worker: {error}")
            between = None
        if between is None:
            for fd in descriptors:
                os.close(fd)
            return False
        with _fork.or_exit():
            os.close(self._until_the_end)
            _fork.adopted(master, between)
            os.setsid()
            _fork.place(descriptors, _KEPT_FREE)
            _reseed()
            os.environ.update(words, LISTEN_PID=str(os.getpid()))
            if not self._process.introduce(number):
                _fork.leave(1)
        return True


def obstacles(proc: Path = Path("/proc/self")) -> Iterator[str]:
    """What does not survive a fork, in words, if there is any of it in this process."""
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if names:
        yield "threads run, and a fork takes none along: " + ", ".join(names)
    native = len(list((proc / "task").iterdir())) - 1 - len(names)
    if native > 0:
        yield f"{native} threads of native libraries run, and a fork takes none along"
    loops = {type(loop).__qualname__ for loop in gc.get_objects() if _is_open_loop(loop)}
    if loops:
        yield f"an event loop is open, and all workers would share its descriptors: {', '.join(sorted(loops))}"
    with contextlib.suppress(AttributeError, KeyError):
        if sys.modules["torch"].cuda.is_initialized():
            yield "CUDA is initialised, and does not work after a fork: use the GPU first in the lifespan"
    gpus = {target for target in _targets(proc / "fd") if target.startswith(_GPUS)}
    if gpus:
        yield f"a GPU is open, and does not work after a fork: {', '.join(sorted(gpus))}"


def _is_open_loop(thing: object) -> bool:
    # Not by isinstance, which asks proxies for what they stand for.
    if not issubclass(type(thing), asyncio.AbstractEventLoop):
        return False
    try:
        return not thing.is_closed()  # type: ignore[attr-defined]
    except NotImplementedError:
        return False


def _targets(folder: Path) -> Iterator[str]:
    for link in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder's own
            yield os.readlink(link)


def _reseed() -> None:
    """Have other random numbers than all other workers; random itself sees to that at every fork."""
    with contextlib.suppress(AttributeError, KeyError):
        sys.modules["numpy"].random.seed()


def _assignments(message: bytes) -> dict[str, str]:
    parts = (line.partition("=") for line in os.fsdecode(message).split("\n"))
    return {name: value for name, equals, value in parts if equals}
