"""Starts: what is said when they fail, and what a process without a master does."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest
from conftest import FOREVER, Start, ask, environment, exchange

from gosuper import _board, _options

ORDER = """
    import struct, os, glob
    for path in glob.glob("/proc/self/map_files/*"):
        pass
    import gosuper._inherit as i
    print("header at import:", bytes(i.board._bytes[:8]), int.from_bytes(i.board._bytes[28:32], "little"), flush=True)
    print("left:", sorted(n for n in os.environ if n.startswith(("GOSUPER_", "LISTEN_", "NOTIFY_"))), flush=True)
    async def app(scope, receive, send):
        raise RuntimeError("no lifespan")
    """


def test_header_comes_before_the_application(master: Start) -> None:
    m = master(ORDER, "workers = 1")
    m.ready(1)
    assert f"header at import: b'GOSUPER1' {_board.STARTING}" in m.output()
    left = ["GOSUPER_GENERATION", "GOSUPER_PLACE", "GOSUPER_SLOT", "GOSUPER_WORKER_ID"]
    assert f"left: {left}" in m.output()
    assert m.status()["workers"][0]["cooperating"]


def test_nothing_large_comes_before_the_header() -> None:
    code = "import sys, gosuper._inherit; print(sorted({'asyncio', 'argparse', 'uvicorn', 'logging'} & set(sys.modules)))"
    # The package itself is imported first, and does what this tests at the top of it.
    source = Path(_board.__file__).with_name("__init__.py").read_text()
    assert source.index("import _inherit") < source.index("from gosuper._process")
    run = subprocess.run(
        [sys.executable, "-c", "import sys, types; p = types.ModuleType('gosuper'); "
         f"p.__path__ = [{str(Path(_board.__file__).parent)!r}]; sys.modules['gosuper'] = p; " + code],
        capture_output=True, text=True, env=environment(), check=True,
    )  # fmt: skip
    assert run.stdout == "[]\n"


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("raise ValueError('broken on purpose')", "ValueError: broken on purpose"),
        ("import no_such_module_at_all\napp = None", "No module named 'no_such_module_at_all'"),
        (
            "from fastapi import FastAPI\nimport contextlib\n@contextlib.asynccontextmanager\nasync def life(app):\n"
            "    raise ValueError('lifespan broken')\n    yield\napp = FastAPI(lifespan=life)",
            "ValueError: lifespan broken",
        ),
        ("other = 1", 'Attribute "app" not found in module "served"'),
    ],
)
def test_failed_boot(master: Start, app: str, said: str) -> None:
    m = master(app, "workers = 1\nrestart.startup_attempts = 1")
    assert m.process.wait(FOREVER) == 3
    assert said in m.output()


def test_program_between(master: Start, tmp_path: Path) -> None:
    m = master("app = None", "workers = 1\nrestart.startup_attempts = 1")
    m.process.kill()
    m.process.wait()
    config = (m.folder / "supervisor.toml").read_text()
    shell = f'command = ["sh", "-c", "{sys.executable} -m gosuper served:app; true"]'
    (m.folder / "supervisor.toml").write_text(re.sub(r"command = .*", lambda _: shell, config))
    run = subprocess.run(
        [m.binary, "-c", "supervisor.toml"],
        cwd=m.folder, capture_output=True, text=True, env=environment(), timeout=FOREVER,
    )  # fmt: skip
    assert run.returncode == 3
    assert re.search(r"gosuper: error: gosuper started 'sh -c .*' \(process \d+\), and this process below it", run.stderr)
    assert "exec" in run.stderr


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--workers=4", "workers"),
        ("--uds=/x", "bind"),
        ("--ssl-keyfile=x", "tls.key"),
        ("--limit-max-requests", "max_requests"),
    ],
)
def test_options_of_the_supervisor_are_refused(option: str, key: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "gosuper", "x:y", option], capture_output=True, text=True, env=environment()
    )
    assert run.returncode == 2
    assert f"{option.partition('=')[0]} belongs to the supervisor" in run.stderr
    assert f"gosuper: hint: set {key}" in run.stderr


def test_alone(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(
        "import asyncio, gosuper\nasync def app(scope, receive, send):\n"
        "    assert not gosuper.worker.supervised\n"
        "    if scope['type'] != 'http': raise RuntimeError\n"
        "    await gosuper.wait_draining()\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'2')]})\n"
        "    await send({'type': 'http.response.body', 'body': b'ok'})\n"
    )
    command = [sys.executable, "-m", "gosuper", "served:app", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        said = ""
        while "startup" not in said or "unsupported" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        match = re.search(r"running on http://127.0.0.1:(\d+)", said)
        assert match

        async def run() -> None:
            answer = asyncio.ensure_future(ask(("127.0.0.1", int(match[1])), "/"))
            # Its begin is on no board that could be read, so the drain is asked for when the socket is accepted.
            while not any("ESTABLISHED" in line for line in await established(process.pid)):
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert (await answer)[0] == 200

        asyncio.run(run())
        assert process.wait(FOREVER) == 0


async def established(pid: int) -> list[str]:
    """A line for each connection that a process has accepted."""
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file]
    return ["ESTABLISHED" for row in rows if row[3] == "01" and row[9] in inodes]


def test_wsgi(master: Start) -> None:
    pytest.importorskip("a2wsgi")
    app = """
        import time
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/slow":
                time.sleep(3)
            start_response("200 OK", [("Content-Type", "text/plain")])
            if "CONTENT_LENGTH" not in environ and environ.get("wsgi.input_terminated"):
                return [environ["wsgi.input"].read()]
            return [b"hello"]
        """
    m = master(app, 'workers = 1\ntimeout = "1s"', "--threads", "3")
    m.ready(1)
    assert asyncio.run(ask(m.address(), "/"))[::2] == (200, b"hello")
    assert asyncio.run(ask(m.address(), "/slow"))[0] == 504
    client = http.client.HTTPConnection(*m.address(), timeout=FOREVER)
    client.request("POST", "/", iter([b"in ", b"chunks"]), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert client.getresponse().read() == b"in chunks"
    client.close()


def test_server_of_ones_own(master: Start) -> None:
    app = """
        import select, socket, gosuper
        if __name__ == "__main__":
            (listener,) = gosuper.sockets()
            gosuper.ready()
            while not gosuper.draining():
                if not select.select([listener], [], [], 0.05)[0]:
                    continue
                try:
                    conn, _ = listener.accept()
                except BlockingIOError:
                    continue
                with conn, gosuper.request("ECHO", "/own") as request:
                    conn.settimeout(60)
                    data = conn.recv(100)
                    request.progress()
                    conn.sendall(data)
                    request.status = 201
        """
    m = master(app, "workers = 1", program=["served.py"])
    m.ready(1)

    async def run() -> None:
        reader, writer = await asyncio.open_connection(*m.address())
        await asyncio.to_thread(m.until, lambda s: [r["path"] for r in s["requests"] or []] == ["/own"])
        writer.write(b"hello")
        assert await reader.read() == b"hello"
        writer.close()

    asyncio.run(run())
    m.until(lambda s: s["workers"][0]["requests"] == 1 and s["workers"][0]["in_flight"] == 0)
    assert m.stop() == 0
    assert "exit status 0" in m.output()


def test_middleware(master: Start) -> None:
    app = """
        import asyncio, gosuper, gosuper.asgi, uvicorn
        async def inner(scope, receive, send):
            if scope["type"] == "lifespan":
                assert (await receive())["type"] == "lifespan.startup"
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
                return
            if scope["path"] == "/long":
                await asyncio.sleep(60)
            if scope["path"] == "/silent":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"token", "more_body": True})
                await asyncio.sleep(60)
            if scope["path"] == "/drain":
                await gosuper.wait_draining()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})
        app = gosuper.asgi.Middleware(inner)
        if __name__ == "__main__":
            uvicorn.run(app, fd=3, access_log=False)
        """
    m = master(app, 'workers = 1\ntimeout = "1s"', program=["served.py"])
    assert m.ready(1)["workers"][0]["cooperating"]

    async def run() -> None:
        assert (await ask(m.address(), "/long"))[0] == 504
        with pytest.raises((EOFError, OSError)):
            await ask(m.address(), "/silent")
        answer = asyncio.ensure_future(ask(m.address(), "/drain"))
        await asyncio.to_thread(m.until, lambda s: [r["path"] for r in s["requests"] or []] == ["/drain"])
        m.process.send_signal(signal.SIGTERM)
        assert (await answer)[0] == 200

    asyncio.run(run())
    assert m.process.wait(FOREVER) == 0


def test_run_becomes_the_supervisor(master: Start, tmp_path: Path) -> None:
    m = master("app = None", "workers = 1")
    m.process.kill()
    m.process.wait()
    code = "import gosuper; gosuper.run('served:app', workers=2, bind=['127.0.0.1:0', '[::1]:0'], check_config=True)"
    env = environment() | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (tmp_path / "gosuper").symlink_to(m.binary)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=m.folder, capture_output=True, text=True, env=env, timeout=FOREVER
    )
    assert run.returncode == 0, run.stderr


def test_stopped_while_it_starts(master: Start) -> None:
    app = """
        import asyncio
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                print("lifespan begins", flush=True)
                await asyncio.sleep(60)
        """
    m = master(app, "workers = 1")
    m.logged("lifespan begins")
    assert m.stop() == 0
    assert "exit status 0" in m.output()


def test_tls(master: Start, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", key,
         "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    app = """
        async def app(scope, receive, send):
            if scope["type"] != "http":
                raise RuntimeError("no lifespan")
            body = scope["scheme"].encode()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": body})
        """
    m = master(app, f'workers = 1\n[tls]\ncert = "{cert}"\nkey = "{key}"')
    m.ready(1)
    context = ssl.create_default_context(cafile=str(cert))

    async def run() -> None:
        host, port = m.address()
        with pytest.raises(OSError):  # noqa: PT011 - a handshake that fails, which takes no place for long
            await asyncio.open_connection(host, port, ssl=ssl.create_default_context(), server_hostname="localhost")
        connection = await asyncio.open_connection(host, port, ssl=context, server_hostname="localhost")
        assert await exchange(*connection) == (200, ANY, b"https")
        connection[1].close()

    asyncio.run(run())
    assert m.stop() == 0


def test_watchdog(master: Start) -> None:
    m = master("async def app(scope, receive, send):\n    raise RuntimeError", 'workers = 1\nwatchdog = "500ms"')
    before = m.ready(1)["workers"][0]["id"]
    after = m.until(lambda s: s["workers"][0]["age_seconds"] > 3)
    assert after["workers"][0]["id"] == before


def test_every_option_of_uvicorn_has_an_answer() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "uvicorn", "--help"], capture_output=True, text=True, check=True,
        env=environment() | {"COLUMNS": "200"},
    ).stdout  # fmt: skip
    theirs = set(re.findall(r"--[a-z0-9][a-z0-9-]*[a-z0-9](?= |,|$)", text, re.MULTILINE))
    ours = {option for action in _options.parser()._actions for option in action.option_strings}
    assert len(theirs) > 40
    assert theirs - ours == {"--version"}


def test_collections_leave_out_the_application(master: Start) -> None:
    m = master("""
        import gc
        heavy = [[] for _ in range(100_000)]
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                app.late = [[] for _ in range(50_000)]
                return await send({"type": "lifespan.startup.complete"})
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"%d" % len(gc.get_objects())})
        """, "workers = 1")  # fmt: skip
    m.ready(1)
    _, _, looked_at = asyncio.run(ask(m.address()))
    assert int(looked_at) < 50_000
