"""Which uvicorn this is."""

from __future__ import annotations

TESTED = "0.54.0"
"""The version that this package is tested with, and that its extra installs.

It is known from inside. Of others nothing is used but what protocol classes have had for long, which costs a request more.
"""


def installed() -> str:
    """The version that is imported."""
    import uvicorn

    return uvicorn.__version__


def is_tested() -> bool:
    """Whether it is the one that is known from inside."""
    return installed() == TESTED
