"""The compiled module; and a real master with workers of this package, where a gosuper binary is at hand."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BINARY = os.environ.get("TEST_GOSUPER") or shutil.which("gosuper")
FOREVER = 60.0
HERE = Path(__file__).parent


def pytest_configure() -> None:
    """Have the compiled module in place, which only a machine of one's own may lack."""
    made = subprocess.run([sys.executable, str(HERE.parent / "compile_speed.py")], capture_output=True, text=True)
    if made.returncode and "CI" in os.environ:
        pytest.exit(f"no compiled module: {made.stderr}", returncode=1)


@pytest.fixture(params=["_speed", "_plain"])
def stores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Either module of what each request stores, here and in the workers of a master."""
    from gosuper import _board, _gate

    module = pytest.importorskip(f"gosuper.{request.param}", exc_type=ImportError)
    monkeypatch.setattr(_board, "Slots", module.Slots)
    monkeypatch.setattr(_gate, "Place", module.Place)
    if request.param == "_plain":
        monkeypatch.setenv("TEST_PLAIN", "1")
    return module


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=FOREVER)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Master:
    """A gosuper that runs an application of a test."""

    def __init__(self, folder: Path, app: str, settings: str, program: list[str]) -> None:
        assert BINARY is not None
        self.binary = BINARY
        self.folder = folder
        (folder / "served.py").write_text(textwrap.dedent(app))
        control = folder / "control.sock"
        command = json.dumps([sys.executable, *program])
        (folder / "supervisor.toml").write_text(
            f'command = {command}\nbind = ["127.0.0.1:0"]\ncontrol.socket = "{control}"\n'
            f'log.access_file = "{folder}/access.log"\n{textwrap.dedent(settings)}'
        )
        self.control = str(control)
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [self.binary, "-c", "supervisor.toml"], cwd=folder, stdout=self.log, stderr=self.log, env=environment()
        )

    def status(self) -> dict[str, Any]:
        """What gosuper status says."""
        connection = UnixConnection(self.control)
        try:
            connection.request("GET", "/v1/status?requests=true")
            status: dict[str, Any] = json.loads(connection.getresponse().read())
            return status
        finally:
            connection.close()

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first status that a condition holds for; nobody tells when it changes, so it is asked for."""
        end = time.monotonic() + FOREVER
        while time.monotonic() < end:
            assert self.process.poll() is None, self.output()
            try:
                status = self.status()
            except OSError:
                status = {}
            if status and condition(status):
                return status
            time.sleep(0.02)
        raise AssertionError(self.output())

    def ready(self, workers: int) -> dict[str, Any]:
        """The status with so many ready workers, and no others."""
        return self.until(lambda s: [w["state"] for w in s["workers"] or []] == ["ready"] * workers)

    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.status()["binds"][0].removeprefix("tcp://").rpartition(":")
        return host, int(port)

    def reload(self) -> None:
        """Reload, and wait until it is done."""
        subprocess.run([self.binary, "reload", "--wait", "--control", self.control], check=True, timeout=FOREVER)

    def stop(self) -> int:
        """Stop gracefully, and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(FOREVER)

    def logged(self, text: str) -> None:
        """Wait until something is in the log."""
        self.until(lambda _: text in self.output())

    def output(self) -> str:
        """All that was logged."""
        return (self.folder / "log").read_text()


def environment() -> dict[str, str]:
    """An environment in which nothing says that there is a master already, and this package is the one in this folder."""
    names = ("GOSUPER_", "LISTEN_", "NOTIFY_", "PORT", "WEB_CONCURRENCY")
    own = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    hiding = [str(HERE / "plain")] if "TEST_PLAIN" in own else []
    return own | {"PYTHONPATH": os.pathsep.join([*hiding, str(HERE.parent / "src")])}


Start = Callable[..., Master]


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Start]:
    """Starts masters: master(app, settings, *options), or with another program."""
    if BINARY is None:
        pytest.skip("no gosuper binary: set TEST_GOSUPER")
    started: list[Master] = []

    def start(app: str, settings: str = "", *options: str, program: list[str] | None = None) -> Master:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Master(folder, app, settings, program or ["-m", "gosuper", "served:app", *options]))
        return started[-1]

    yield start
    for m in started:
        if m.process.poll() is None:
            m.process.kill()
            m.process.wait(FOREVER)
        m.log.close()


async def ask(
    address: tuple[str, int], path: str = "/", method: str = "GET", body: bytes = b"", version: str = "1.1"
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        return await exchange(reader, writer, path, method, body, version)
    finally:
        writer.close()


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str = "/",
    method: str = "GET",
    body: bytes = b"",
    version: str = "1.1",
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection: status, headers, body. IncompleteReadError says that it was cut."""
    writer.write(f"{method} {path} HTTP/{version}\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
    content = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    else:
        content = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, content


def pss(pid: int) -> int:
    """The proportional set size of a process, in bytes."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


def wakeups(pid: int) -> int:
    """How often the threads of a process have had nothing left to do."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    status = "".join((task / "status").read_text() for task in tasks)
    return sum(map(int, re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)))
