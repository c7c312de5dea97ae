"""Starts the supervisor itself."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn


def run(app: str, *, options: Sequence[str] = (), **settings: object) -> NoReturn:
    """Supervise an application, ``MODULE:ATTRIBUTE``; this process becomes the supervisor.

    Settings are the flags of gosuper with underscores: ``workers=4``, ``bind="127.0.0.1:8000"``; True is a flag without a
    value, a list a flag for each. Options are those of ``python -m gosuper``. FileNotFoundError says that there is no
    gosuper beside this interpreter nor in PATH.
    """
    command = [_find(), *_flags(settings), "--", sys.executable, "-m", "gosuper", app, *options]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)


def _find() -> str:
    beside = Path(sys.executable).with_name("gosuper")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("gosuper")
    if found is None:
        raise FileNotFoundError("there is no gosuper beside this interpreter nor in PATH")
    return found


def _flags(settings: dict[str, object]) -> list[str]:
    flags = []
    for name, value in settings.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            flags.append(flag)
        elif value is not None and value is not False:
            flags += [f"{flag}={item}" for item in (value if isinstance(value, (list, tuple)) else [value])]
    return flags
