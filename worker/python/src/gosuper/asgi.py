"""The accounting of requests as ASGI middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from operator import itemgetter
from typing import Any

from gosuper import _accesslog
from gosuper._accesslog import AccessLog
from gosuper._connection import Connection
from gosuper._deadlines import NEVER, WAITING
from gosuper._gate import Gate
from gosuper._ledger import IDENTITIES, Ledger, status_headers, status_text
from gosuper._process import process
from gosuper._request import Message, Receive, Request, Send

Application = Callable[[Message, Receive, Send], Awaitable[Any]]

_FRESH = 1_000_000_000
_NAME = itemgetter(0)
_NONE: Set[bytes] = frozenset()
_PROXIED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
_NOTED = IDENTITIES | _PROXIED
"""The headers by which a request is another than most."""


class Accounting:
    """An application whose every request is accounted for by a ledger.

    refresh is called before a request is answered, once a second at most. direct is the application for requests without
    any header of a proxy, by default the same.
    """

    def __init__(
        self,
        app: Application,
        ledger: Ledger,
        extension: dict[str, Any],
        refresh: Callable[[], None] | None = None,
        direct: Application | None = None,
    ) -> None:
        self._app = app
        self._direct = direct or app
        self._ledger = ledger
        self._extension = extension
        self._refresh = refresh
        self._fresh_until = 0 if refresh else NEVER

    async def serve(self, connection: Connection | None, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, on a connection of ours or of another server."""
        ledger = self._ledger
        names: Set[bytes] = _NONE
        if not _NOTED.isdisjoint(map(_NAME, scope["headers"])):
            names = set(map(_NAME, scope["headers"]))
        request = ledger.begin(scope, names, send, connection)
        if request.start >= self._fresh_until and self._refresh is not None:
            self._fresh_until = request.start + _FRESH
            self._refresh()
        extension = self._extension
        if request.deadline:
            extension = {**extension, "deadline": request.deadline / 1e9}
        if "extensions" in scope:
            scope["extensions"]["gosuper"] = extension
        else:
            scope["extensions"] = {"gosuper": extension}
        own = connection is not None and connection.plain
        if not own:
            request.raw_receive, receive = receive, request.receive
        try:
            if connection is not None and connection.stale:
                connection.stale = False
                await _unavailable(request)
            else:
                if names and not _PROXIED.isdisjoint(names):
                    await self._app(scope, receive, request.send)
                else:
                    await self._direct(scope, receive, request.send)
                if not (request.finished or request.complete) and (request.phase == WAITING or scope["type"] == "http"):
                    request.flush()
                    ledger.finish(request, _accesslog.PANIC)  # without an answer, or in the middle of it
        except BaseException as error:
            if not request.ended:
                request.flush()
                cancelled = isinstance(error, asyncio.CancelledError)  # not by the application, as a rule
                request.telling = not cancelled
                ledger.finish(request, _accesslog.PANIC)
                if cancelled and request.gone:
                    return  # as was asked for
                raise
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
            if request.phase != WAITING and not own:
                # The server must see that the response is broken.
                raise TimeoutError("the request was ended at its limit") from error
        finally:
            if not request.finished:
                ledger.finish(request)
            if connection is not None and request.task is not None:
                connection.tasks.discard(request.task)
        # The server must not answer once more in the application's place.
        if request.ended and own and connection is not None:
            await connection.wait_lost()
        elif request.ended and request.phase == WAITING:
            await ledger.answer(request)


class Middleware:
    """An application accounted for under any ASGI server that runs as a worker of gosuper.

    Requests are on the board and in the access log, and are ended at their limits; the worker is ready when the lifespan
    has started, and the application hears of the drain. What only a server can do is not promised: who takes which
    connection, a blocked event loop, and a drain that drops nothing.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._accounting: Accounting | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or watch the lifespan."""
        if self._accounting is None:
            self._accounting = self._start()
        if scope["type"] != "lifespan":
            await self._accounting.serve(None, scope, receive, send)
            return

        async def watched(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                process.serve()

        await self._app(scope, receive, watched)

    def _start(self) -> Accounting:
        env = process.environment
        env.require()
        log = AccessLog(env.access, env.access_json, env.id) if env.access >= 0 else None
        ledger = Ledger(process.board, Gate(), env.limits, process.notify, log)
        draining = asyncio.Event()
        loop = asyncio.get_running_loop()

        def drain() -> None:
            ledger.closing = True
            loop.call_soon_threadsafe(draining.set)

        process.drain.subscribe(drain)
        return Accounting(self._app, ledger, process.extension(draining))


async def _unavailable(request: Request) -> None:
    """Answer the first request of a connection that waited for too long: its client has probably given up."""
    request.telling = False
    await request.send({"type": "http.response.start", "status": 503, "headers": status_headers(503, b"1")})
    await request.send({"type": "http.response.body", "body": status_text(503)})
