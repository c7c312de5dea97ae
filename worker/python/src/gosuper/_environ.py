"""What a worker is told by its environment, and whether it is meant for this process."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

FIRST_SOCKET = 3
"""The first inherited socket, SD_LISTEN_FDS_START of sd_listen_fds(3)."""

_READ_ONCE = (
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "GOSUPER_NOTIFY_FD",
    "GOSUPER_LOADER_FD",
    "GOSUPER_SCOREBOARD_FD",
    "GOSUPER_FLEET_FD",
    "GOSUPER_ACCESS_FD",
    "GOSUPER_ACCESS_FORMAT",
    "GOSUPER_TLS_FD",
    "GOSUPER_STOP_SIGNAL",
    "GOSUPER_LIMIT_KEEPALIVE_MS",
    "GOSUPER_LIMIT_FAILURES",
    "GOSUPER_LIMIT_REQUESTS",
    "GOSUPER_LIMIT_TIMEOUT_MS",
    "GOSUPER_LIMIT_STREAM_TIMEOUT_MS",
    "GOSUPER_LIMIT_UPGRADE_TIMEOUT_MS",
    "GOSUPER_LIMIT_REQUEST_TIMEOUT_MS",
    "GOSUPER_LIMIT_CONNECTIONS",
    "GOSUPER_LIMIT_BACKLOG_TIMEOUT_MS",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
)


_LOADS = (
    "preload is on, and this process loads the application for its workers: only they have sockets; "
    "a server of one's own needs `preload = false`"
)


class StrayWorkerError(RuntimeError):
    """This process is not the worker: another program stands between gosuper and it, or it is to load the application."""


@dataclass(frozen=True)
class Limits:
    """The limits of this worker. Times are nanoseconds; 0 is no limit, for keepalive no keep-alive."""

    timeout: int = 0
    stream: int = 0
    upgrade: int = 0
    request: int = 0
    backlog: int = 0
    keepalive: int = 5_000_000_000
    requests: int = 0
    failures: int = 0
    """In a row."""
    connections: int = 0


@dataclass(frozen=True)
class Environment:
    """What the master has given to this process; without a master everything has its zero value.

    Descriptors are -1 where there is none.
    """

    supervised: bool = False
    stray: str = ""
    """Why this process is not the worker although there is a master; see :meth:`require`."""
    id: int = 0
    slot: int = 0
    place: int = 0
    generation: int = 0
    sockets: tuple[int, ...] = ()
    notify: int = -1
    loader: int = -1
    """Where workers are asked for, if this process is to load the application and make them of itself."""
    scoreboard: int = -1
    fleet: int = -1
    access: int = -1
    access_json: bool = False
    tls: int = -1
    stop_signal: str = "SIGTERM"
    watchdog: int = 0
    """The time between two signs of life at most, in nanoseconds; 0 if none is wanted."""
    limits: Limits = field(default_factory=Limits)

    def require(self) -> None:
        """Raise StrayWorkerError if this process was meant to be the worker and is not."""
        if self.stray:
            raise StrayWorkerError(self.stray)
        if self.loader >= 0:
            raise StrayWorkerError(_LOADS)


def take(environ: MutableMapping[str, str], pid: int) -> Environment:
    """Read the environment, and unset what only the worker itself may read.

    The descriptors hold only where LISTEN_PID is this process. They are made close-on-exec, so that the children of the
    worker do not keep its sockets open.
    """
    supervised = "GOSUPER_WORKER_ID" in environ or "GOSUPER_LOADER_FD" in environ
    owner = environ.get("LISTEN_PID", "")
    if owner != str(pid):
        stray = _explain(owner) if supervised and owner else ""
        return _named(environ, Environment(stray=stray))
    number = _Numbers(environ)
    sockets = tuple(range(FIRST_SOCKET, FIRST_SOCKET + number("LISTEN_FDS")))
    limits = Limits(
        timeout=number("GOSUPER_LIMIT_TIMEOUT_MS") * 1_000_000,
        stream=number("GOSUPER_LIMIT_STREAM_TIMEOUT_MS") * 1_000_000,
        upgrade=number("GOSUPER_LIMIT_UPGRADE_TIMEOUT_MS") * 1_000_000,
        request=number("GOSUPER_LIMIT_REQUEST_TIMEOUT_MS") * 1_000_000,
        backlog=number("GOSUPER_LIMIT_BACKLOG_TIMEOUT_MS") * 1_000_000,
        keepalive=number("GOSUPER_LIMIT_KEEPALIVE_MS", 5000) * 1_000_000,
        requests=number("GOSUPER_LIMIT_REQUESTS"),
        failures=number("GOSUPER_LIMIT_FAILURES"),
        connections=number("GOSUPER_LIMIT_CONNECTIONS"),
    )
    given = Environment(
        supervised=supervised,
        sockets=sockets,
        notify=number("GOSUPER_NOTIFY_FD", -1),
        loader=number("GOSUPER_LOADER_FD", -1),
        scoreboard=number("GOSUPER_SCOREBOARD_FD", -1),
        fleet=number("GOSUPER_FLEET_FD", -1),
        access=number("GOSUPER_ACCESS_FD", -1),
        access_json=environ.get("GOSUPER_ACCESS_FORMAT") == "json",
        tls=number("GOSUPER_TLS_FD", -1),
        stop_signal=environ.get("GOSUPER_STOP_SIGNAL", "SIGTERM"),
        watchdog=number("WATCHDOG_USEC") * 1000,
        limits=limits,
    )
    env = _named(environ, given)
    for fd in (*sockets, env.notify, env.loader, env.scoreboard, env.fleet, env.access, env.tls):
        if fd >= 0:
            os.set_inheritable(fd, False)
    for name in _READ_ONCE:
        environ.pop(name, None)
    return env


class _Shared(socket.socket):
    """A listening socket that other processes have as well: any of them may have set it to block, for all."""

    def _accept(self) -> Any:
        if self.gettimeout() == 0:
            self.setblocking(False)
        return super()._accept()  # type: ignore[misc]


def inherited(fd: int) -> socket.socket:
    """The listening socket of an inherited descriptor, left as the master has made it."""
    sock = _Shared(fileno=fd)
    sock.setblocking(False)
    return sock


class _Numbers:
    """Decimal variables; what is absent or is no number has the default."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, name: str, default: int = 0) -> int:
        text = self._environ.get(name, "")
        return int(text) if text.isdecimal() else default


def _named(environ: MutableMapping[str, str], env: Environment) -> Environment:
    number = _Numbers(environ)
    return replace(
        env,
        id=number("GOSUPER_WORKER_ID"),
        slot=number("GOSUPER_SLOT", -1 if "GOSUPER_WORKER_ID" in environ else 0),  # a spare has none yet
        place=number("GOSUPER_PLACE"),
        generation=number("GOSUPER_GENERATION"),
    )


def _explain(owner: str) -> str:
    try:
        with open(f"/proc/{owner}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        words = ""
    between = f"{words!r} (process {owner})" if words else f"process {owner}, which is gone"
    return (
        f"gosuper started {between}, and this process below it: signals and reports would go astray; "
        "let it exec the server (in a shell: `exec python -m gosuper ...`), or put it before gosuper, which finds the "
        "Python of the environment (`uv run gosuper MODULE:ATTR`, `poetry run gosuper MODULE:ATTR`)"
    )
