"""The master's side of the loader protocol, as far as tests need it: this process is the subreaper itself."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import FOREVER, environment

from gosuper import _layout

_PR_SET_CHILD_SUBREAPER = 36
_CREDENTIALS = struct.Struct("iII")


@dataclass
class Forked:
    """A worker that was asked for."""

    number: int
    notify: socket.socket
    board: mmap.mmap
    output: Path
    pid: int = 0

    def go(self) -> None:
        """Say that it is wanted."""
        self.notify.send(b"GO=1")

    def hear(self) -> str:
        """What it says next."""
        return receive(self.notify)

    def release(self, slot: int) -> None:
        """Make a spare the worker of a slot."""
        struct.pack_into("<QQ", self.board, 88, 0, slot + 1)
        self.notify.send(b"LOOK=1")

    def header(self) -> tuple[bytes, int, int]:
        """Magic, process and state on its board."""
        pid, state = struct.unpack_from("<II", self.board, 24)
        return self.board[:8], pid, state

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal, and return how it ended."""
        os.kill(self.pid, number)
        return self.wait()

    def wait(self) -> int:
        """How it ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class FakeMaster:
    """One loader, and the workers that it makes."""

    def __init__(self, folder: Path, app: str, *options: str) -> None:
        self.folder = folder
        (folder / "served.py").write_text(textwrap.dedent(app))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address: tuple[str, int] = self.listener.getsockname()
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.workers: list[Forked] = []
        command = shlex.join([sys.executable, "-m", "gosuper", "served:app", *options])
        with (folder / "loader").open("wb") as output:
            self.loader = subprocess.Popen(
                ["sh", "-c", f"LISTEN_PID=$$ exec {command}"],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=[theirs.fileno()],
                env=environment() | {"GOSUPER_LOADER_FD": str(theirs.fileno()), "GOSUPER_GENERATION": "7"},
            )  # fmt: skip
        theirs.close()

    def hear(self) -> tuple[str, int]:
        """What is said next on the loader's descriptor, and by which process."""
        assert select.select([self.socket], [], [], FOREVER)[0], "nothing is said"
        message, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(_CREDENTIALS.size))
        return message.decode(), _CREDENTIALS.unpack(ancillary[0][2])[0] if message else 0

    def until_ready(self) -> list[str]:
        """All that the loader says until it is ready."""
        said = []
        while (text := self.hear()[0]) != "READY=1":
            assert text, self.output()
            said.append(text)
        return said

    def ask(self, spare: bool = False, **more: str) -> Forked:
        """Ask for a worker, with an environment that says more, or for one that holds."""
        number = len(self.workers) + 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        board = os.memfd_create("board")
        os.ftruncate(board, _layout.SIZE)
        path = self.folder / f"worker{number}"
        with path.open("wb") as output:
            null = os.open(os.devnull, os.O_RDWR)
            descriptors = [null, output.fileno(), output.fileno(), self.listener.fileno(), theirs.fileno(), board]
            words = {
                "SPAWN": str(number),
                "GOSUPER_MASTER_PID": str(os.getpid()),
                "LISTEN_FDS": "1",
                "GOSUPER_WORKER_ID": str(number),
                "GOSUPER_SLOT": str(number - 1),
                "GOSUPER_PLACE": str(number),
                "GOSUPER_GENERATION": "7",
                "GOSUPER_NOTIFY_FD": "4",
                "GOSUPER_SCOREBOARD_FD": "5",
            } | more
            if spare:
                os.pwrite(board, (1).to_bytes(8, "little"), 88)
                del words["GOSUPER_SLOT"]
            message = "\n".join(f"{name}={value}" for name, value in words.items())
            socket.send_fds(self.socket, [message.encode()], descriptors)
        self.workers.append(Forked(number, ours, mmap.mmap(board, _layout.SIZE), path))
        theirs.close()
        os.close(null)
        os.close(board)
        return self.workers[-1]

    def claim(self) -> Forked:
        """Wait for the next worker; it waits for the word to go."""
        text, pid = self.hear()
        assert text.startswith("SPAWNED="), text
        worker = self.workers[int(text.removeprefix("SPAWNED=")) - 1]
        worker.pid = pid
        return worker

    def start(self, spare: bool = False, **more: str) -> Forked:
        """A worker that is ready."""
        self.ask(spare, **more)
        worker = self.claim()
        worker.go()
        while (text := worker.hear()) != "READY=1":
            assert text, worker.output.read_text()
        return worker

    def output(self) -> str:
        """What the loader has written."""
        return (self.folder / "loader").read_text()

    def close(self) -> None:
        """End what is left."""
        for worker in self.workers:
            if worker.pid:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    worker.end()
            worker.notify.close()
        self.loader.kill()
        self.loader.wait(FOREVER)
        self.socket.close()
        self.listener.close()


def receive(sock: socket.socket) -> str:
    """The next message."""
    assert select.select([sock], [], [], FOREVER)[0], "nothing is said"
    return sock.recv(65536).decode()


@contextlib.contextmanager
def subreaper() -> Iterator[None]:
    """This process is the parent of those whose own is gone."""
    prctl = ctypes.CDLL(None).prctl
    assert prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
