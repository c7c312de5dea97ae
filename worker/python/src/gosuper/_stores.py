"""What each request stores on the board and on the fleet page: compiled where the package has a module for this Python.

In Python each store takes a tenth of a microsecond, and a request has more than thirty of them: a whole one, which costs
uvicorn 27 µs, was 34 µs with them, and is 27.5 µs where they are compiled.
"""

try:
    from gosuper._speed import Place, Slots
except ImportError:
    from gosuper._plain import Place, Slots

__all__ = ["Place", "Slots"]
