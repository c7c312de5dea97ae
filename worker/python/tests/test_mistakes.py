"""Mistakes are answered in words."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FOREVER, Start, environment

from gosuper import _version

LIFESPAN = """
    import asyncio
    async def app(scope, receive, send):
        await asyncio.Event().wait()
    """


def serve(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gosuper", *words]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=FOREVER, check=False
    )


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("served", "gosuper: hint: an application is named as MODULE:ATTRIBUTE"),
        ("nothing:app", "gosuper: hint: looked in FOLDER; --app-dir names another folder"),
        ("serve:app", "gosuper: hint: did you mean served:app?"),
        ("pkg.man:app", "gosuper: hint: did you mean pkg.main:app?"),
        ("served:ap", "gosuper: hint: did you mean served:app?"),
        ("served:other", "served.py is what was loaded; what can be called in it: app"),
        ("served:number", "gosuper: error: served:number is of type int and no application"),
        ("pkg.main:app", "gosuper: hint: no_such_module is neither in FOLDER nor installed: "),
        ("raises:app", "ValueError: broken on purpose"),
        ("makes:needs --factory", "gosuper: error: makes:needs cannot be called without arguments"),
        ("served:app --factory", "gosuper: hint: write a function without parameters, or leave --factory out"),
        ("served:number --factory", "gosuper: error: served:number cannot be called without arguments"),
        ("makes:broken --factory", "in broken"),
        ("makes:broken", "in broken"),
        ("served:app -w 4", "gosuper: hint: flags of gosuper itself stand where no "),
        ("served:app --worker=4", "gosuper: hint: did you mean --workers?"),
        ("served:app --prox-headers", "gosuper: hint: did you mean --proxy-headers?"),
    ],
)
def test_what_cannot_be_loaded(tmp_path: Path, app: str, said: str) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "served.py").write_text("async def app(scope, receive, send):\n    pass\nnumber = 5\n")
    (tmp_path / "raises.py").write_text("raise ValueError('broken on purpose')\n")
    (tmp_path / "pkg" / "main.py").write_text("import no_such_module\n")
    (tmp_path / "makes.py").write_text("def needs(x):\n    pass\ndef broken():\n    return None + 1\n")
    run = serve(tmp_path, *app.split())
    assert run.returncode != 0
    assert said.replace("FOLDER", str(tmp_path)) in run.stderr


@pytest.mark.parametrize(
    ("missing", "app", "said"),
    [
        ("uvicorn", "app = None", "gosuper: error: uvicorn is not installed"),
        (
            "a2wsgi",
            "def app(environ, start): pass",
            "gosuper: error: this is a WSGI application, and a2wsgi is not",
        ),
        ("", "app = None", f"gosuper: error: uvicorn 0.50.0 is another than gosuper knows, which is {_version.TESTED}: "),
    ],
)
def test_what_the_extra_would_install(tmp_path: Path, missing: str, app: str, said: str) -> None:
    (tmp_path / "served.py").write_text(app)
    code = f"import sys; sys.modules[{missing!r}] = None"
    if not missing:
        (tmp_path / "uvicorn.py").write_text("__version__ = '0.50.0'")
        code = "import sys; sys.path.insert(0, '')"
    code += "; from gosuper._runner import main; main(['served:app'])"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-2].startswith(said)
    assert run.stderr.splitlines()[-1] == 'gosuper: hint: pip install "gosuper[uvicorn]"'


def test_the_version_that_is_known_is_the_one_that_the_extra_installs() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert re.findall(r'"uvicorn\[standard\]==(.*?)"', project) == [_version.TESTED]


def test_lifespan_that_hangs(master: Start) -> None:
    m = master(LIFESPAN, "workers = 1\nstartup_timeout = 8\nrestart.startup_attempts = 1")
    assert m.process.wait(FOREVER) == 3
    assert "gosuper: hint: the application's lifespan has not come to its yield" in m.output()


def test_import_that_hangs(master: Start) -> None:
    app = "import time\ntime.sleep(1000)"
    m = master(app, "workers = 1\nstartup_timeout = 8\nrestart.startup_attempts = 1")
    assert m.process.wait(FOREVER) == 3
    assert "gosuper: hint: the application was still being loaded" in m.output()
    assert "served.py" in m.output()


def test_module_that_is_missing_comes_last(master: Start) -> None:
    m = master("import no_such_module", "workers = 1\nrestart.startup_attempts = 1")
    assert m.process.wait(FOREVER) == 3
    lines = m.output().splitlines()
    assert "No module named 'no_such_module'" in lines[-2]
    assert "hint: no_such_module is neither in" in lines[-1]


@pytest.mark.parametrize("preload", ["false", "true"])
@pytest.mark.parametrize(
    ("app", "options", "said"),
    [
        ("import no_such_module", ["served:app"], "hint: no_such_module is neither in"),
        ("app = (", ["served:app"], "SyntaxError"),
        ("def app(): pass", ["served:ap"], "hint: did you mean served:app?"),
        ("app = None", ["served:app", "--fd", "3"], "error: --fd belongs to the supervisor"),
    ],
)
def test_mistakes_are_made_once(master: Start, preload: str, app: str, options: list[str], said: str) -> None:
    m = master(app, f"workers = 1\npreload = {preload}", program=["-m", "gosuper", *options])
    assert m.process.wait(FOREVER) == 3
    assert said in m.output()
    assert len(re.findall('"msg":"(worker|loader) started"', m.output())) == 1


def test_what_may_come_to_be_there_is_tried_again(master: Start) -> None:
    m = master("open('database').close(); import sys; sys.exit('no database')", "workers = 1")
    assert m.process.wait(FOREVER) == 3
    assert m.output().count('"msg":"worker started"') == 3


@pytest.mark.parametrize("name", ["uv", "poetry"])
def test_runner_between(master: Start, tmp_path: Path, name: str) -> None:
    runner = tmp_path / name
    runner.write_text('#!/bin/sh\nshift\n"$@"\n')  # it does not exec, as uv does not
    runner.chmod(0o755)
    shell = [
        "-c",
        f"import os; os.execv({str(runner)!r}, ['{name}', 'run', {sys.executable!r}, '-m', 'gosuper', 'served:app'])",
    ]
    m = master("app = None", "workers = 1\nrestart.startup_attempts = 1", program=shell)
    assert m.process.wait(FOREVER) == 3
    assert f"{name} run gosuper MODULE:ATTR" in m.output()
