"""What a worker that hangs says of itself: the stacks of its threads, and of the tasks of its event loop."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import sys
import traceback
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, cast

from gosuper._ledger import describe
from gosuper._request import Request
from gosuper.asgi import Accounting

_MOST = 16
"""How many tasks are shown, and how many of the innermost frames of each."""
_OWN = ("asyncio", "gosuper", "uvicorn")
"""Whoever has nobody else's code in it is not shown."""
_STATES = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}


def arm() -> None:
    """Have the abort signal print them from here on, in the main thread.

    The stacks of the threads are printed in any case, by the handler of the signal itself. Tasks are when the interpreter
    is back from whatever it does; if that is never the worker is killed.
    """
    faulthandler.disable()
    signal.signal(signal.SIGABRT, _abort)
    faulthandler.enable()  # which has its own handler run first


def tasks(running: FrameType | None) -> Iterator[str]:
    """What each task of the running event loop waits for, requests first. One of them may be running, in this frame."""
    current = asyncio.current_task()
    shown = []
    for task in asyncio.all_tasks():
        frames = list(_frames(task)) if task is not current else [frame for frame, _ in traceback.walk_stack(running)]
        request = next(filter(None, map(_request, frames)), None)
        if request is not None or any(_module(frame) not in _OWN for frame in frames):
            shown.append((request.start if request is not None else sys.maxsize, task, request, frames))
    shown.sort(key=lambda entry: entry[0])
    for _, task, request, frames in shown[:_MOST]:
        name = f"{describe(request)} ({task.get_name()})" if request is not None else task.get_name()
        if task is current:
            yield f"{name} is running, in the main thread\n"
            continue
        stack = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames[-_MOST:])
        yield f"{name} waits (most recent call last):\n" + "".join(stack.format())
    if len(shown) > _MOST:
        yield f"{len(shown) - _MOST} more tasks\n"


def _abort(number: int, frame: FrameType | None) -> None:
    try:
        asyncio.get_running_loop()
        for text in tasks(frame):
            sys.stderr.write(text)
        sys.stderr.flush()
    finally:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """The frames of a task that waits, the outermost first, and those of a task that it waits for."""
    waiting: object = task
    while waiting is not None:
        frame, inner = _STATES.get(type(waiting), ("", ""))
        if frame:
            if getattr(waiting, frame) is not None:
                yield getattr(waiting, frame)
            waiting = getattr(waiting, inner)
        elif isinstance(waiting, asyncio.Task):
            waiting = waiting.get_coro()
        elif isinstance(waiting, asyncio.Future):
            return
        else:  # a step of an asynchronous generator or of a future, which says only to the collector what it is one of
            known = (*_STATES, asyncio.Future)
            waiting = next((thing for thing in gc.get_referents(waiting) if isinstance(thing, known)), None)


def _request(frame: FrameType) -> Request | None:
    if frame.f_code is not Accounting.serve.__code__:
        return None
    return cast("Request | None", frame.f_locals.get("request"))


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
