"""What this process has of its master: who it is, its board, its reports, and the notice to finish."""

from __future__ import annotations

from dataclasses import dataclass

from gosuper._board import Board
from gosuper._drain import Drain
from gosuper._environ import Environment
from gosuper._inherit import board, environment
from gosuper._notify import Notifier
from gosuper._stream import Streams


@dataclass(frozen=True)
class Worker:
    """Who this worker is, for metrics labels, shards, ports and GPUs.

    All numbers are 0 in a process that runs alone. The id is never used twice; a replacement has the slot of the worker
    it replaces; no two living workers have the same place; generation counts accepted configurations, from 1.
    """

    id: int
    slot: int
    place: int
    generation: int
    supervised: bool


class Process:
    """Everything that there is once in a process."""

    def __init__(self, env: Environment, board: Board) -> None:
        self.environment = env
        self.board = board
        self.notify = Notifier(env.notify)
        self.drain = Drain()
        self.stream = Streams(self.drain)
        self.worker = Worker(env.id, env.slot, env.place, env.generation, env.supervised)


process = Process(environment, board)
