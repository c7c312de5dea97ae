"""What this process has inherited. Importing it writes the header of the board, before anything large is loaded."""

from __future__ import annotations

import os

from gosuper._board import Board
from gosuper._environ import Environment, take


def inherit() -> tuple[Environment, Board]:
    """Take what the environment gives to this process: once at its start, and again in one that was forked."""
    env = take(os.environ, os.getpid())
    return env, _open(env)


def _open(env: Environment) -> Board:
    if env.scoreboard < 0:
        return Board.unshared()
    try:
        board = Board.open(env.scoreboard)
    except (OSError, ValueError):
        return Board.unshared()  # the master will see a plain worker, and say so
    board.write_header(os.getpid())
    return board


environment, board = inherit()
