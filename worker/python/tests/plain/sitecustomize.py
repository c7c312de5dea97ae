"""Hides the compiled module from an interpreter that has this folder in its PYTHONPATH."""

import sys

sys.modules["gosuper._speed"] = None  # type: ignore[assignment]
