"""The loader of preloaded applications, with this process as its master."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import statistics
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ask, pss
from fake_master import FakeMaster, receive, subreaper

from gosuper import _board
from gosuper._loader import obstacles

FACTS = """
    import json, os, random, signal, sys
    import ctypes
    from gosuper import worker
    loader, before = os.getpid(), repr(worker)
    kept = open("kept", "w", buffering=1)
    hooks = []
    os.register_at_fork(after_in_child=lambda: hooks.append(os.getpid()))

    def facts():
        death = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(death), 0, 0, 0)
        kept.write(f"{os.getpid()}\\n")
        return {
            "loader": loader,
            "before": before,
            "worker": repr(worker),
            "life": life,
            "hooks": hooks[-1],
            "leader": os.getsid(0),
            "group": os.getpgid(0),
            "death": death.value,
            "mask": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
            "random": random.random(),
            "names": sorted(n for n in os.environ if n.startswith(("GOSUPER_", "LISTEN_", "NOTIFY_"))),
            "mine": os.environ["MINE"],
            "descriptors": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                            if os.path.exists(f"/proc/self/fd/{fd}")},
        }

    life = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                life.append(os.getpid())
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = json.dumps(facts()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
    """

Start = Callable[..., FakeMaster]


@pytest.fixture
def loader(tmp_path: Path) -> Iterator[Start]:
    """Starts a loader: loader(app, *options)."""
    started: list[FakeMaster] = []
    with subreaper():

        def start(app: str, *options: str) -> FakeMaster:
            started.append(FakeMaster(tmp_path, app, *options))
            return started[-1]

        yield start
        for m in started:
            m.close()


def get(m: FakeMaster) -> bytes:
    """What a worker answers."""
    status, _, body = asyncio.run(ask(m.address))
    assert status == 200
    return body


def test_forked_worker_is_like_an_executed_one(loader: Start) -> None:
    m = loader(FACTS)
    assert m.until_ready() == ["STATUS="], "what it said of loading is over, and nothing is in the way"
    worker = m.start(MINE="a=b")
    assert worker.header() == (b"GOSUPER1", worker.pid, _board.READY)
    facts: dict[str, Any] = json.loads(get(m))
    assert facts["loader"] == m.loader.pid
    assert facts["before"] == "Worker(id=0, slot=0, place=0, generation=7, supervised=True)"
    assert facts["worker"] == "Worker(id=1, slot=0, place=1, generation=7, supervised=True)"
    assert {facts[name] for name in ("hooks", "leader", "group")} == {worker.pid}
    assert facts["life"] == [worker.pid], "the lifespan is the worker's alone"
    assert (facts["death"], facts["mask"], facts["mine"]) == (signal.SIGKILL, 0, "a=b")
    assert facts["names"] == ["GOSUPER_GENERATION", "GOSUPER_PLACE", "GOSUPER_SLOT", "GOSUPER_WORKER_ID"]
    names: dict[str, str] = facts["descriptors"]
    assert names["0"] == "/dev/null"
    assert names["1"] == names["2"] == str(worker.output)
    assert names["3"] == f"socket:[{os.fstat(m.listener.fileno()).st_ino}]"
    assert names["4"].startswith("socket:")
    assert list(names.values()).count("/dev/null") <= 2, "what was kept free is free again"
    assert f"socket:[{os.fstat(m.socket.fileno()).st_ino}]" not in names.values()
    assert (m.folder / "kept").read_text() == f"{worker.pid}\n", "a file that was open at import is what it was"
    other = m.start(MINE="c")
    assert worker.end(signal.SIGTERM) == 0
    assert json.loads(get(m))["random"] != facts["random"]
    assert other.end(signal.SIGTERM) == 0


def test_nothing_runs_before_the_master_knows(loader: Start) -> None:
    m = loader(FACTS)
    m.until_ready()
    m.ask()
    worker = m.claim()
    assert worker.header() == (b"GOSUPER1", worker.pid, _board.STARTING)
    worker.notify.close()
    assert worker.wait() == 1
    assert worker.output.read_text() == ""


def test_no_request_waits_for_an_import(loader: Start) -> None:
    m = loader(
        """
        import sys
        import anyio
        async def app(scope, receive, send):
            assert scope["type"] == "http"
            before = set(sys.modules)
            await anyio.to_thread.run_sync(len, "")
            body = " ".join(set(sys.modules) - before).encode()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
            await send({"type": "http.response.body", "body": body})
        """
    )
    m.until_ready()
    m.start()
    assert get(m) == b""


def test_other_parent(loader: Start) -> None:
    m = loader(FACTS)
    m.until_ready()
    m.ask(GOSUPER_MASTER_PID="1")
    pid, status = os.waitpid(-1, 0)
    assert pid != m.loader.pid
    assert os.waitstatus_to_exitcode(status) == 1
    assert m.start(MINE="").header()[2] == _board.READY


def test_two_at_once(loader: Start) -> None:
    m = loader(FACTS)
    m.until_ready()
    wanted = [m.ask(MINE=""), m.ask(MINE="")]
    claimed = {m.claim().number, m.claim().number}
    assert claimed == {1, 2}
    for worker in wanted:
        worker.go()
        assert receive(worker.notify) == "READY=1"
        assert worker.header()[1] == worker.pid


@pytest.mark.parametrize("how", ["told", "killed"])
def test_workers_outlive_the_loader(loader: Start, how: str) -> None:
    m = loader(FACTS)
    m.until_ready()
    worker = m.start(MINE="")
    if how == "told":
        m.socket.close()
        assert m.loader.wait() == 0
    else:
        m.loader.kill()
        assert m.loader.wait() == -signal.SIGKILL
        assert m.hear() == ("", 0)
    assert json.loads(get(m))["leader"] == worker.pid
    assert worker.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("which", ["first", "second"])
def test_fork_fails(loader: Start, which: str) -> None:
    m = loader(
        f"""
        import errno, os
        fork, left, first = os.fork, [2], os.getpid()
        def failing():
            if (os.getpid() == first) == {which == "first"} and os.path.exists("full"):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return fork()
        os.fork = failing
        async def app(scope, receive, send):
            raise RuntimeError
        """
    )
    m.until_ready()
    (m.folder / "full").touch()
    m.ask()
    text, pid = m.hear()
    assert pid == m.loader.pid
    assert text == f"FAILED=1\ncannot make a worker: [Errno {errno.EAGAIN}] {os.strerror(errno.EAGAIN)}"
    (m.folder / "full").unlink()
    assert m.start().number == 2


def test_wishes_that_make_no_sense(loader: Start) -> None:
    m = loader(FACTS)
    m.until_ready()
    m.socket.send(b"\xff\nSPAWN=5\nGOSUPER_MASTER_PID=1\n")
    assert m.hear()[0].startswith("FAILED=5\ncannot make a worker: a worker has 3 to 64 descriptors")
    opened = len(os.listdir(f"/proc/{m.loader.pid}/fd"))
    assert m.start(MINE="").number == 1
    m.socket.send(b"SPAWN=6\nGOSUPER_MASTER_PID=me")
    assert m.hear()[0].startswith("FAILED=6\n")
    assert len(os.listdir(f"/proc/{m.loader.pid}/fd")) == opened, "the worker's descriptors are not the loader's"


@pytest.mark.parametrize(
    ("app", "options", "status", "last"),
    [
        ("def f():\n    raise ValueError('on purpose')\nf()", [], 1, "ValueError: on purpose"),
        ("app = ", [], 78, "SyntaxError: invalid syntax"),
        ("app = None", ["--fd", "3"], 78, "set bind in supervisor.toml"),
        ("import gosuper\ngosuper.sockets()", [], 1, "a server of one's own needs `preload = false`"),
    ],
)
def test_application_that_does_not_load(loader: Start, app: str, options: list[str], status: int, last: str) -> None:
    m = loader(app, *options)
    assert m.hear() == ("", 0)
    assert not Path(f"/proc/{m.loader.pid}/cmdline").read_bytes(), "its end is heard of before it has come"
    assert m.loader.wait() == status
    assert m.output().rstrip().endswith(last)


@pytest.mark.parametrize("kind", ["factory", "WSGI", "WSGI factory", "unsaid factory", "unsaid WSGI factory"])
def test_kinds_of_applications(loader: Start, kind: str) -> None:
    wsgi = """
        def served(environ, start):
            start("200 OK", [("Content-Length", "2")])
            return [b"ok"]
        """
    asgi = """
        async def served(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
        """
    factory = "def app():\n            print('loaded', flush=True)\n            return served"
    m = loader(
        (wsgi if "WSGI" in kind else asgi) + (factory if "factory" in kind else "app = served"),
        *(["--factory"] if "factory" in kind and "unsaid" not in kind else []),
    )
    m.until_ready()
    m.start()
    m.start()
    assert get(m) == b"ok"
    assert m.output().count("loaded") == ("factory" in kind)


def test_what_does_not_survive_a_fork_is_told(loader: Start) -> None:
    m = loader(
        """
        import asyncio, threading, gosuper
        gosuper.status("reading the model")
        gosuper.extend_startup(2)
        threading.Thread(target=threading.Event().wait, name="refresher", daemon=True).start()
        loop = asyncio.new_event_loop()
        async def app(scope, receive, send):
            raise RuntimeError
        """
    )
    assert m.until_ready() == [
        "STATUS=reading the model",
        "EXTEND_TIMEOUT_USEC=2000000",
        "STATUS=threads run, and a fork takes none along: refresher",
        "STATUS=an event loop is open, and all workers would share its descriptors: _UnixSelectorEventLoop",
    ]
    m.start()


def test_gpus_and_native_threads_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fd").mkdir()
    (tmp_path / "fd/5").symlink_to("/dev/nvidia0")
    (tmp_path / "fd/6").symlink_to("/dev/null")
    count = threading.active_count() + 3
    for number in range(count):
        (tmp_path / "task" / str(number)).mkdir(parents=True)
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(sys.modules, "torch", torch)
    said = list(obstacles(tmp_path))
    assert "3 threads of native libraries run, and a fork takes none along" in said
    assert "CUDA is initialised, and does not work after a fork: use the GPU first in the lifespan" in said
    assert "a GPU is open, and does not work after a fork: /dev/nvidia0" in said


def test_memory_is_shared_and_forks_are_quick(loader: Start) -> None:
    size = 100 << 20
    m = loader(
        f"""
        model = b"x" * {size}
        async def app(scope, receive, send):
            assert len(model) == {size}
            await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}})
            await send({{"type": "http.response.body", "body": b"ok"}})
        """
    )
    m.until_ready()
    took = []
    for _ in range(4):
        begin = time.monotonic()
        m.ask()
        worker = m.claim()
        took.append((time.monotonic() - begin) * 1000)
        worker.go()
        assert worker.hear() == "READY=1"
    for _ in range(8):
        assert get(m) == b"ok"
    total = sum(map(pss, [m.loader.pid, *(worker.pid for worker in m.workers)]))
    print(f"asked to spawned: {statistics.median(took):.1f} ms; PSS of the loader and 4 workers: {total >> 20} MiB")
    assert total < 2 * size
