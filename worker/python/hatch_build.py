"""Puts the gosuper binary into a wheel, for the systems that it runs on.

Without GOSUPER_BINARY, as from a checkout or an sdist, the wheel has none and fits every system: gosuper is then looked for
in PATH.
"""

from __future__ import annotations

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BinaryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Reads GOSUPER_BINARY, the file, and GOSUPER_PLATFORMS, the platform tags with dots between them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file as a script, which pip puts beside the interpreter."""
        binary = os.environ.get("GOSUPER_BINARY")
        if binary and version != "editable":
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{os.environ['GOSUPER_PLATFORMS']}"
            build_data["shared_scripts"] = {binary: "gosuper"}
