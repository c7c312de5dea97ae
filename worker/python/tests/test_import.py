"""What becomes of a configuration of Gunicorn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARY, environment
from gunicorn.config import KNOWN_SETTINGS  # type: ignore[import-untyped]

from gosuper._gunicorn import SETTINGS, page

CPUS = os.cpu_count() or 1
needs_gosuper = pytest.mark.skipif(BINARY is None, reason="no gosuper: set TEST_GOSUPER")

DEPLOYED = """\
import multiprocessing

wsgi_app = "app.main:create()"
bind = "0.0.0.0"
workers = multiprocessing.cpu_count() * 2 + 1
worker_class = "uvicorn.workers.UvicornWorker"
worker_connections = 1000
timeout = 120
graceful_timeout = 30
keepalive = 5
max_requests, max_requests_jitter = 1000, 50
accesslog = "-"
loglevel = "WARNING"
raw_env = ["A=1", 'B="x"={slot}']
forwarded_allow_ips = "*"
umask = 0o022
user = 0
daemon = False
limit_request_line = 8190
unrelated = 5


def post_fork(server, worker):
    pass
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What gosuper says."""
    assert BINARY is not None
    env = {**environment(), "VIRTUAL_ENV": sys.prefix, "PYTHONPATH": str(Path(__file__).parent.parent / "src")}
    return subprocess.run([BINARY, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def translated(folder: Path, text: str) -> str:
    (folder / "gunicorn.conf.py").write_text(text)
    result = run(folder, "import", "gunicorn.conf.py")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_setting_is_known() -> None:
    assert set(SETTINGS) == {setting.name for setting in KNOWN_SETTINGS}


def test_every_setting_has_an_answer() -> None:
    assert [name for name, s in SETTINGS.items() if not (s.key or s.option or s.note)] == []


def test_the_page_is_the_table() -> None:
    assert (Path(__file__).parent.parent / "GUNICORN.md").read_text() == page()


@needs_gosuper
def test_deployment(tmp_path: Path) -> None:
    text = translated(tmp_path, DEPLOYED)
    assert text == (
        "# Made from gunicorn.conf.py by gosuper import.\n"
        'command = ["app.main:create", "--factory", "--forwarded-allow-ips", "*"]\n'
        'bind = ["0.0.0.0:8000"]\n'
        'workers = "2*cpu+1"\n'
        "worker_connections = 1000\ntimeout = 120\ngraceful_timeout = 30\nkeepalive = 5\n"
        "max_requests = 1000\nmax_requests_jitter = 50\n"
        'umask = "022"\nuser = "0"\n'
        "\n# What was not taken over:\n"
        f"# gunicorn.conf.py:19: limit_request_line: {SETTINGS['limit_request_line'].note}\n"
        f"# gunicorn.conf.py:23: post_fork: {SETTINGS['post_fork'].note}\n"
        '\n[env]\nA = "1"\nB = "\\"x\\"={{slot}}"\n'
        '\n[log]\naccess_file = "-"\nlevel = "warn"\n'
    )
    (tmp_path / "supervisor.toml").write_text(text)
    checked = run(tmp_path, "check", "-c", "supervisor.toml")
    assert checked.returncode == 0, checked.stderr
    assert 'bind = ["0.0.0.0:8000"]\n' in checked.stdout
    assert 'umask = "022"\n' in checked.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("workers = cpu_count()", 'workers = "cpu"\n'),
        ("workers = 1 + cpu_count()", 'workers = "cpu+1"\n'),
        ("workers: int = (2 * (os.cpu_count() or 1)) + 1", 'workers = "2*cpu+1"\n'),
        ("workers = int(multiprocessing.cpu_count() * 2) + 1", 'workers = "2*cpu+1"\n'),
        ("workers = cpu_count() * 4", f"workers = {4 * CPUS}\n"),
        ("workers = cpu_count() * cpu_count()", f"workers = {CPUS * CPUS}\n"),
        ("workers = cpu_count() * 2 + 1\nworkers += 1", f"workers = {2 * CPUS + 2}\n"),
        ("workers = 40\nif False:\n    workers = cpu_count()", "workers = 40\n"),
        ("workers = 3", "workers = 3\n"),
    ],
)
@needs_gosuper
def test_workers(tmp_path: Path, text: str, shown: str) -> None:
    result = translated(tmp_path, "import multiprocessing, os\nfrom os import cpu_count\n" + text + "\n")
    assert shown in result
    assert ("cpu_count() * 4 is" in result) == ("4" in text and "40" not in text)


SAMPLES: dict[str, object] = {
    "wsgi_app": "app",
    "bind": ["unix:/run/app.sock", "[::1]", "fd://3", "tcp://127.0.0.1:80"],
    "chdir": "/",
    "proc_name": "agents",
    "user": 0,
    "group": 0,
    "raw_env": ["A=1"],
    "umask": 18,
    "control_socket_disable": False,
    "reload_extra_files": ["a.txt"],
    "loglevel": "critical",
    "forwarded_allow_ips": ["127.0.0.1", "::1"],
    "http_parser": "fast",
    "access_log_format": '{"path": "%(U)s"}',
    "worker_class": "gevent",
}


@needs_gosuper
def test_every_setting_is_accepted_or_explained(tmp_path: Path) -> None:
    values: dict[str, object] = {}
    for setting in KNOWN_SETTINGS:
        default = setting.default
        kind = bool if isinstance(default, bool) else int if isinstance(default, int) else str
        value = {bool: True, int: 7, str: "/tmp/x"}[kind]
        values[setting.name] = SAMPLES.get(setting.name, [value] if isinstance(default, list) else value)
    certificate = tmp_path / "both.pem"
    values["certfile"] = values["keyfile"] = str(certificate)
    text = translated(tmp_path, "".join(f"{name} = {value!r}\n" for name, value in values.items()))
    for name, setting in SETTINGS.items():
        explained = f": {name}: " in text
        expected = not (setting.key or setting.option or setting.needless)
        if expected and not explained:
            raise AssertionError(f"{name} is not explained:\n{text}")
    command = next(line for line in text.splitlines() if line.startswith("command = ")).removeprefix("command = ")
    assert json.loads(command)[0] == "app:application"
    (tmp_path / "supervisor.toml").write_text(text)
    checked = run(tmp_path, "check", "-c", "supervisor.toml")
    complaints = [line for line in checked.stderr.splitlines() if "error" in line]
    assert [line for line in complaints if "both.pem" not in line] == []  # which does not exist
    assert len(complaints) >= 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('worker_class = "sync"\n', '"--threads", "1"]'),
        ('worker_class = "gthread"\nthreads = 8\n', '"--threads", "8"]'),
        ('worker_class = "sync"\nthreads = 8\n', '"--threads", "8"]'),
        ('worker_class = "uvicorn.workers.UvicornH11Worker"\n', '"--http", "h11", "--loop", "asyncio"]'),
        ('worker_class = "uvicorn_worker.UvicornWorker"\n', '["MODULE:ATTR"]'),
        ('worker_class = "asgi"\nasgi_loop = "uvloop"\nroot_path = "/api"\n', '"--loop", "uvloop", "--root-path", "/api"]'),
        ('worker_class = "mine.Worker"\n', "gunicorn.conf.py:1: worker_class: mine.Worker is not known"),
        ('wsgi_app = "app:make(1)"\n', "write a function without parameters that returns app:make(1)"),
        ('control_socket_disable = True\ncontrol_socket = "/x"\n', '[control]\nsocket = "off"'),
        ("accesslog = None\npreload_app = False\n", '# command = ["MODULE:ATTR"]\n'),
        ('certfile = "/c"\nssl_version = 5\n', "ssl_version: let nginx"),
        ('http_protocols = "h2, h1"\nhttp2_cleartext = "both"\n', '["MODULE:ATTR", "--http2"]\n'),
        ('http_protocols = "h1"\nhttp2_cleartext = "off"\n', '["MODULE:ATTR"]\n'),
        ('http2_cleartext = "upgrade"\n', "http2_cleartext: --http2 at the end of the command is for clients that begin"),
        ('pythonpath = "/a,/b"\n', '[env]\nPYTHONPATH = "/a:/b"'),
    ],
)
@needs_gosuper
def test_lines(tmp_path: Path, text: str, shown: str) -> None:
    assert shown in translated(tmp_path, text)


@needs_gosuper
def test_what_cannot_be_read(tmp_path: Path) -> None:
    missing = run(tmp_path, "import", "gunicorn.conf.py")
    assert missing.returncode == 1
    assert missing.stderr.splitlines() == [
        "gosuper: error: cannot read gunicorn.conf.py: no such file or directory",
        "gosuper: hint: name the file that Gunicorn is started with by -c",
    ]
    (tmp_path / "gunicorn.conf.py").write_text("import nothing_of_this_name\n")
    broken = run(tmp_path, "import", "gunicorn.conf.py")
    assert broken.returncode == 1
    assert "ModuleNotFoundError: No module named 'nothing_of_this_name'" in broken.stderr
    assert broken.stderr.count("gosuper: error: ") == 1
