"""Spares, and what else a worker is told, with this process as their master."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FOREVER, ask
from fake_master import FakeMaster, Forked, subreaper

HOLD_MARGIN = 0.005

APP = """
    import json, os
    import gosuper

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
        slots = [gosuper.worker.slot, scope["extensions"]["gosuper"]["slot"], os.environ["GOSUPER_SLOT"]]
        body = json.dumps({"pid": os.getpid(), "slots": slots}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def master(tmp_path: Path) -> Iterator[FakeMaster]:
    """A loader whose application says who has answered."""
    with subreaper():
        master = FakeMaster(tmp_path, APP)
        try:
            master.until_ready()
            yield master
        finally:
            master.close()


def answer(master: FakeMaster) -> dict[str, Any]:
    """Who answers a request on a connection of its own."""
    status, _, body = asyncio.run(ask(master.address))
    assert status == 200
    said: dict[str, Any] = json.loads(body)
    return said


def switches(worker: Forked) -> int:
    """How often the threads of a worker had nothing left to do."""
    count = 0
    for task in Path(f"/proc/{worker.pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                count += int(line.split()[1])
    return count


def accepted(worker: Forked) -> int:
    """How many connections a worker has accepted."""
    return int.from_bytes(worker.board[256:264], "little")


def test_a_spare_is_nobody(master: FakeMaster) -> None:
    spare = master.start(spare=True)
    assert spare.board[40] & 1
    other = master.start()
    before = switches(spare)
    for _ in range(200):
        assert answer(master) == {"pid": other.pid, "slots": [1, 1, "1"]}
    assert switches(spare) - before < 100
    assert accepted(spare) == 0


def test_a_spare_takes_a_slot_at_once(master: FakeMaster) -> None:
    for _ in range(5):
        spare = master.start(spare=True)
        with socket.create_connection(master.address, timeout=FOREVER) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            begun = time.monotonic()
            spare.release(4)
            text = ""
            while not text.endswith("}"):
                text += client.recv(4096).decode()
            took = time.monotonic() - begun
        assert json.loads(text.rpartition("\r\n")[2]) == {"pid": spare.pid, "slots": [4, 4, "4"]}
        spare.end()
        if took < 10 * HOLD_MARGIN:
            return
    raise AssertionError(f"it has taken {took} s")


def test_a_spare_that_is_told_to_finish_leaves_what_waits(master: FakeMaster) -> None:
    spare = master.start(spare=True)
    with socket.create_connection(master.address, timeout=FOREVER):
        spare.board[72] = 1  # the socket is given up
        os.kill(spare.pid, signal.SIGTERM)
        assert spare.hear() == "STOPPING=1"
        assert spare.wait() == 0
    assert accepted(spare) == 0


def test_a_worker_says_once_that_it_is_busy(master: FakeMaster) -> None:
    worker = master.start()
    assert worker.board[40] & 2
    for _ in range(2):
        worker.board[104] = 1
        worker.notify.send(b"LOOK=1")
        while not select.select([worker.notify], [], [], 0)[0]:
            answer(master)
        assert worker.hear() == "X_GOSUPER_BUSY=1"
        for _ in range(20):
            answer(master)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.hear() == "STOPPING=1"
    assert worker.wait() == 0
