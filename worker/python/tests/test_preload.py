"""Preloaded applications under a real master."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import FOREVER, Master, Start, ask, pss, wakeups
from test_supervised import Load, recycle_under_load

APP = """
    import json, os, sys, time
    import gosuper
    VERSION = 1
    loaded = os.getpid()
    model = b"m" * (int(os.environ.get("MODEL_MIB", "0")) << 20)

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        body = json.dumps({"version": VERSION, "pid": os.getpid(), "loaded": loaded, "worker": gosuper.worker.id}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
    """


@pytest.fixture
def preloaded(master: Start) -> Start:
    """Starts masters that preload."""

    def start(app: str, settings: str = "", *options: str) -> Master:
        return master(app, f"preload = true\n{settings}", *options)

    return start


def answer(m: Master) -> dict[str, Any]:
    """What a worker says of itself."""
    said: dict[str, Any] = json.loads(asyncio.run(ask(m.address()))[2])
    return said


def pids(m: Master) -> set[int]:
    """The workers that there are."""
    return {worker["pid"] for worker in m.status()["workers"]}


def edit(m: Master, old: str, new: str) -> None:
    """Change the application, and leave nothing of it compiled: two changes may fall into one second."""
    path = m.folder / "served.py"
    path.write_text(path.read_text().replace(old, new))
    for compiled in m.folder.glob("__pycache__/*"):
        compiled.unlink()


def test_workers_are_forked(preloaded: Start) -> None:
    m = preloaded(APP, "workers = 3")
    m.ready(3)
    assert all(worker["cooperating"] for worker in m.status()["workers"])
    said = answer(m)
    assert said["pid"] in pids(m)
    assert said["loaded"] not in pids(m)
    assert said["worker"] in (1, 2, 3)
    assert m.stop() == 0
    assert not Path(f"/proc/{said['loaded']}").exists()


def test_recycling_forks(preloaded: Start) -> None:
    m = preloaded(APP, "workers = 2\nmax_requests = 200")
    m.ready(2)
    first, loader = pids(m), answer(m)["loaded"]
    recycle_under_load(m, 4)
    m.ready(2)
    assert not first & pids(m)
    assert answer(m)["loaded"] == loader
    assert m.stop() == 0


def test_reload_loads_the_new_code(preloaded: Start) -> None:
    m = preloaded(APP, "workers = 2")
    m.ready(2)
    before = answer(m)
    assert before["version"] == 1
    edit(m, "VERSION = 1", "VERSION = 2")

    async def run() -> Load:
        load = Load(m.address(), 4, "keep-alive")
        await asyncio.to_thread(m.reload)
        await load.stop()
        return load

    load = asyncio.run(run())
    print(f"{load.answered} answered, {len(load.lost)} lost, longest {load.longest * 1000:.0f} ms")
    assert load.lost == []
    m.ready(2)
    after = answer(m)
    assert after["version"] == 2
    assert after["loaded"] != before["loaded"]
    m.until(lambda _: not Path(f"/proc/{before['loaded']}").exists())
    assert m.stop() == 0


def test_reload_with_a_syntax_error(preloaded: Start) -> None:
    m = preloaded(APP, "workers = 2")
    m.ready(2)
    before, loader = pids(m), answer(m)["loaded"]
    edit(m, "VERSION = 1", "VERSION = (1")
    reload = subprocess.run(
        [m.binary, "reload", "--wait", "--control", m.control], capture_output=True, text=True, timeout=FOREVER
    )
    assert reload.returncode == 1
    assert "SyntaxError: '(' was never closed" in m.output()
    assert pids(m) == before
    assert (answer(m)["version"], answer(m)["loaded"]) == (1, loader)
    # Nor has the loader that there is forgotten how to make workers.
    os.kill(min(before), signal.SIGKILL)
    m.until(lambda s: len({w["pid"] for w in s["workers"] if w["state"] == "ready"} - before) == 1)
    assert answer(m)["version"] == 1
    assert m.stop() == 0


def test_loader_that_is_killed(preloaded: Start) -> None:
    m = preloaded(APP, "workers = 2")
    m.ready(2)
    before, loader = pids(m), answer(m)["loaded"]
    os.kill(loader, signal.SIGKILL)
    m.until(lambda _: not Path(f"/proc/{loader}").exists())
    assert pids(m) == before
    assert answer(m)["pid"] in before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    m.until(lambda s: len({w["pid"] for w in s["workers"] if w["state"] == "ready"} - before) == 2)
    assert answer(m)["loaded"] != loader
    assert m.stop() == 0


def test_idle_processes_do_not_wake_up(preloaded: Start) -> None:
    """Neither the master nor the loader nor a worker. Each of the master's wake-ups takes several of its threads, so what
    counts are the moments in which it has any."""
    m = preloaded(APP, "workers = 2")
    m.ready(2)
    idle = [m.process.pid, answer(m)["loaded"], *pids(m)]
    window, moment = 40, 0.25
    found: list[list[float]] = []
    while not found or max(found[-1]) > 0.2:  # the last connection has an end too
        woken, last = [0] * len(idle), list(map(wakeups, idle))
        for _ in range(window):
            time.sleep(moment)
            now = list(map(wakeups, idle))
            woken = [n + (a != b) for n, a, b in zip(woken, last, now, strict=True)]
            last = now
        found.append([n / (window * moment) for n in woken])
        assert len(found) < 5, found
    print(f"wake-ups a second of master, loader and workers: {found}")


@pytest.mark.parametrize("preload", [True, False])
def test_memory(master: Start, preloaded: Start, monkeypatch: pytest.MonkeyPatch, preload: bool) -> None:
    monkeypatch.setenv("MODEL_MIB", "200")
    m = (preloaded if preload else master)(APP, "workers = 4")
    m.ready(4)
    loader = [answer(m)["loaded"]] if preload else []
    total = sum(map(pss, [m.process.pid, *loader, *pids(m)])) >> 20
    victim = min(pids(m))
    begin = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    m.until(lambda s: len([w for w in s["workers"] if w["state"] == "ready" and w["pid"] != victim]) == 4)
    print(f"preload {preload}: PSS of all {total} MiB; another worker after {(time.monotonic() - begin) * 1000:.0f} ms")
    assert (total < 2 * 200) == preload
