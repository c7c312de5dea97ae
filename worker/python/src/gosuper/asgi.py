"""The accounting of requests as ASGI middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gosuper import _accesslog
from gosuper._ledger import Ledger, status_headers, status_text
from gosuper._request import Message, Request, Send

Receive = Callable[[], Awaitable[Any]]
Application = Callable[[Message, Receive, Send], Awaitable[Any]]


class Accounting:
    """An application whose every request is accounted for by a ledger."""

    def __init__(self, app: Application, ledger: Ledger, extension: dict[str, Any]) -> None:
        self._app = app
        self._ledger = ledger
        self._extension = extension

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the lifespan on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        ledger = self._ledger
        request = ledger.begin(scope, send)
        extension = self._extension
        if request.deadline:
            extension = {**extension, "deadline": request.deadline / 1e9}
        scope.setdefault("extensions", {})["gosuper"] = extension
        try:
            if request.connection is not None and request.connection.stale:
                request.connection.stale = False
                await _unavailable(request)
            else:
                await self._app(scope, receive, request.send)
        except BaseException as error:
            if not request.ended:
                if isinstance(error, Exception):
                    request.status = request.status or 500
                ledger.finish(request, _accesslog.PANIC)
                raise
            if scope.get("http_version") == "2" or not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
        finally:
            ledger.finish(request)
        if request.ended and request.connection is not None and scope.get("http_version") != "2":
            # The server must not answer once more in the application's place.
            await request.connection.wait_lost()


async def _unavailable(request: Request) -> None:
    await request.send({"type": "http.response.start", "status": 503, "headers": status_headers(503)})
    await request.send({"type": "http.response.body", "body": status_text(503)})
