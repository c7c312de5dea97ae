"""Puts into a wheel what is not Python: the gosuper binary, for the systems that it runs on, and the compiled module.

Without GOSUPER_BINARY, as from a checkout or an sdist, the wheel has no binary: gosuper is then looked for in PATH. Without
a C compiler it has no module, and fits every system.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "_speed.abi3.so"


class BinaryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Reads GOSUPER_BINARY, the file, and GOSUPER_PLATFORMS, the platform tags with dots between them."""

    _made: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the binary as a script, which pip puts beside the interpreter, and the module to the package."""
        binary = os.environ.get("GOSUPER_BINARY") if version != "editable" else None
        platforms = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        if binary:
            platforms = os.environ["GOSUPER_PLATFORMS"]
            build_data["shared_scripts"] = {binary: "gosuper"}
        if version == "editable":
            self._compile(Path(self.root) / "src/gosuper", needed=False)  # where its Python is too
            return
        self._made = tempfile.TemporaryDirectory()
        compiled = self._compile(Path(self._made.name), needed=bool(binary))
        if compiled:
            build_data["force_include"][str(Path(self._made.name) / MODULE)] = f"gosuper/{MODULE}"
        if binary or compiled:
            build_data["pure_python"] = False
            # Of any Python: one that cannot load the module does without.
            build_data["tag"] = f"py3-none-{platforms}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        if self._made is not None:
            self._made.cleanup()

    def _compile(self, folder: Path, needed: bool) -> bool:
        run = subprocess.run(
            [sys.executable, str(Path(self.root) / "compile_speed.py"), str(folder)], stderr=subprocess.PIPE, text=True
        )
        if run.returncode and needed:
            raise RuntimeError(run.stderr)
        if run.returncode:
            self.app.display_warning(f"gosuper: without its compiled module: {run.stderr.strip()}")
        return run.returncode == 0
