"""Compiles src/gosuper/_speed.c for this kind of machine, or for that of the compiler in $CC: compile_speed.py [FOLDER].

The module goes to the folder, by default beside its source, unless it is there and newer. Exit status 1, with the reason,
says that it cannot be made here.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "src/gosuper/_speed.c"
NAME = "_speed.abi3.so"

COMPILE = ["-c", "-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-fno-stack-protector"]
COMPILE += ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
# No library is linked: the symbols are those of the interpreter, and of the libc that it has.
LINK = ["-shared", "-nostdlib", "-s", "-Wl,--build-id=none"]


def make(folder: Path) -> None:
    """Make the module in a folder, at once for whoever looks; SystemExit says why it cannot be."""
    made = folder / NAME
    if made.exists() and made.stat().st_mtime > max(SOURCE.stat().st_mtime, Path(__file__).stat().st_mtime):
        return
    if sys.platform != "linux" or sys.implementation.name != "cpython" or sys.version_info < (3, 11):
        raise SystemExit("it is made by CPython from 3.11 on, on Linux")
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        raise SystemExit(f"there is no Python.h in {include}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        compiler = _compiler()
        compiled, new = Path(scratch) / "_speed.o", Path(scratch) / NAME
        _run([*compiler, *COMPILE, "-I", include, "-o", str(compiled), SOURCE.name])
        _run([*compiler, *LINK, "-o", str(new), str(compiled)])
        new.replace(made)


def _compiler() -> list[str]:
    """The command of a C compiler, $CC or else what is found; SystemExit if there is none."""
    if command := shlex.split(os.environ.get("CC", "")):
        return command
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise SystemExit("there is no C compiler")


def _run(command: list[str]) -> None:
    run = subprocess.run(command, cwd=SOURCE.parent, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{shlex.join(command)}:\n{run.stderr}")


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else SOURCE.parent)
