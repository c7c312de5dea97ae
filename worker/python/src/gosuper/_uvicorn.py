"""uvicorn, with the worker protocol complete: its public Config and Server, subclassed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Generator
from email.utils import formatdate
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.config import create_ssl_context
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gosuper import _board, _stacks, _version, wsgi
from gosuper._accept import Listener
from gosuper._accesslog import AccessLog
from gosuper._connect import Connector
from gosuper._connection import AnyProgress, BodyProgress, Hooks, HTTP1Connection, TaskStarter, WebSocketConnection
from gosuper._environ import Environment
from gosuper._fleet import Fleet
from gosuper._gate import Gate
from gosuper._guard import Guard
from gosuper._heads import Heads
from gosuper._http2 import either
from gosuper._keepalive import LazyLoop
from gosuper._leave import Leave
from gosuper._ledger import Ledger
from gosuper._mistakes import NoApplicationError, is_factory, without_arguments
from gosuper._process import Process
from gosuper._spread import Spread
from gosuper.asgi import Accounting, Application

logger = logging.getLogger("gosuper")


class Config(uvicorn.Config):
    """A configuration whose application is accounted for, and may be one of WSGI.

    threads is how many threads serve a WSGI application.
    """

    def __init__(self, app: str, *, threads: int = 40, **options: Any) -> None:
        self.threads = threads
        self.heads = Heads()
        super().__init__(app, **options)

    def load_app(self) -> Any:
        """Import the application; one of WSGI is adapted, and a function that makes one is called."""
        app = super().load_app()
        if not self.factory and not is_factory(app):
            return self._adapt(app)
        if not callable(app) or not without_arguments(app):
            raise NoApplicationError(
                f"{self.app} cannot be called without arguments, as a factory is",
                "write a function without parameters, or leave --factory out if it is the application itself",
            )
        if not self.factory:
            logger.warning("%s takes no arguments, so it is called for the application: say so by --factory", self.app)
        made = self._adapt(app())  # here, where what it raises is not taken for anything else
        return (lambda: made) if self.factory else made

    def _adapt(self, app: Any) -> Any:
        if self.interface == "wsgi" or (self.interface == "auto" and wsgi.is_wsgi(app)):
            self.interface = "asgi3"
            return wsgi.adapt(app, self.threads)
        if not callable(app):
            raise NoApplicationError(f"{self.app} is of type {type(app).__name__} and no application")
        return app

    def equip(self, env: Environment) -> None:
        """Have what differs between workers; after load."""
        self.timeout_keep_alive = cast(int, env.limits.keepalive / 1e9)  # it takes parts of a second
        if env.tls >= 0:
            # The chain and its key are in the same memory, which has a path of its own.
            self.ssl_certfile = self.ssl_keyfile = f"/proc/self/fd/{env.tls}"
            self.ssl = create_ssl_context(
                self.ssl_certfile,
                self.ssl_keyfile,
                None,
                self.ssl_version,
                self.ssl_cert_reqs,
                None,
                self.ssl_ciphers,
                getattr(self.http_protocol_class, "alpn_protocols", None),
            )

    def account(self, ledger: Ledger, extension: dict[str, Any], hooks: Hooks) -> None:
        """Have a ledger account for connections and requests; after load."""
        app: Application = self.loaded_app
        direct = app.app if isinstance(app, ProxyHeadersMiddleware) else app
        accounting = Accounting(app, ledger, extension, hooks.answering, cast(Application, direct))
        known: dict[str, Any] = {"ledger": ledger, "accounting": accounting, "hooks": hooks}
        if self.http2:
            self.http_protocol_class = either(known)
        else:
            protocol = self.http_protocol_class
            mixins: list[type[Any]] = [HTTP1Connection, BodyProgress if hasattr(protocol, "on_body") else AnyProgress]
            if _version.is_tested() and hasattr(protocol, "_start_asgi_task"):  # which is uvicorn's for httptools
                ledger.heads, ledger.knows_heads = self.heads, True
                mixins.append(TaskStarter)
            self.http_protocol_class = type("HTTP", (*mixins, protocol), known)
        if self.ws_protocol_class is not None:
            self.ws_protocol_class = type("WebSocket", (WebSocketConnection, self.ws_protocol_class), known)


class Server(uvicorn.Server):
    """A server that takes connections by the rule of the fleet, and leaves without dropping any."""

    config: Config

    def __init__(self, config: Config, process: Process, cancel_on_disconnect: bool = False) -> None:
        super().__init__(config)
        env = process.environment
        self.process = process
        self.leave = Leave(process, self.server_state)
        self._fleet = self._open_fleet()
        gate = Gate(env.limits.connections, self._fleet, env.place, env.id)
        log = AccessLog(env.access, env.access_json, env.id) if env.access >= 0 else None
        self.ledger = Ledger(process.board, gate, env.limits, process.notify, log)
        self.ledger.cancel_on_disconnect = cancel_on_disconnect
        self.listeners: list[Listener] = []
        self._guard: Guard | None = None
        self.leave.told = self._told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections, then say so."""
        _stacks.arm()
        self.leave.watch_master()
        self._extension = self.process.extension(self.leave.event)
        self.config.account(self.ledger, self._extension, Hooks(self.refresh, self.leave.look))
        if not await self.leave.unless_asked(self.lifespan.startup()):
            raise SystemExit(0)
        if self.lifespan.should_exit:
            raise SystemExit(3)
        # The application is there to stay: each full collection would look through all of it, while requests wait.
        gc.collect()
        gc.freeze()
        self._guard = Guard(self.ledger, self.server_state.connections)
        await self.on_tick(0)
        self._connector = Connector(self._make, self.ledger, self.config.ssl)
        env = self.process.environment
        held = self.process.board.holds()
        for sock in sockets or []:
            spread = Spread(self._fleet, env.place) if self._fleet is not None else None
            self.listeners.append(Listener(sock, self.ledger.gate, spread, self._connector.take, held))
        self.process.board.can_hold()
        self.process.board.can_tell()
        self._released()
        self.started = True
        self.process.board.set_state(_board.READY)
        self.process.notify.ready()
        self._beat()

    async def main_loop(self) -> None:
        """Serve until the worker is told to finish, without waking up when nothing happens."""
        await self.leave.asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, end the lifespan, and be gone."""
        logger.info("draining")
        assert self._guard is not None
        self._guard.drain()
        await self.leave.drain(self.ledger, self.listeners, self._connector.opening)
        await self.leave.within(self.lifespan.shutdown())
        self._guard.stop()
        self.leave.exit_in_time()

    def _told(self) -> None:
        board = self.process.board
        board.look()
        self.process.notify.busy(board)
        self._released()

    def _released(self) -> None:
        """Accept connections, unless this worker is still a spare."""
        if self.process.board.holds() or self.leave.asked.is_set():
            return
        self._extension["slot"] = self.process.take_slot()
        for listener in self.listeners:
            listener.release()
        self.ledger.gate.present(True)

    def refresh(self) -> None:
        """Bring the date of answers up to date, in the list that requests under way have too."""
        date = [(b"date", formatdate(usegmt=True).encode())] if self.config.date_header else []
        self.server_state.default_headers[:] = date + self.config.encoded_headers
        self.config.heads.forget()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Have the stop signal, and Ctrl+C, ask for the drain. None is raised again afterwards."""
        self._loop = asyncio.get_running_loop()
        asked = {signal.SIGINT, signal.SIGTERM, self.process.stop_signal()}
        before = {number: signal.signal(number, self.handle_exit) for number in asked}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ask for the drain; a second Ctrl+C cuts it short. It runs between two bytecodes of the main thread."""
        if self.should_exit and sig == signal.SIGINT:
            self.leave.hurry = True
        self.should_exit = True
        for listener in self.listeners:
            listener.unblock()
        if self._guard is not None:
            self._guard.drain()
        self._loop.call_soon_threadsafe(self.leave.asked.set)

    def _make(self, loop: LazyLoop) -> Any:
        return self.config.http_protocol_class(
            config=self.config,  # type: ignore[call-arg]
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=loop,
        )

    def _beat(self) -> None:
        watchdog = self.process.environment.watchdog
        if watchdog:
            self.process.board.beat()
            self._loop.call_later(watchdog / 2e9, self._beat)

    def _open_fleet(self) -> Fleet | None:
        fd = self.process.environment.fleet
        if fd < 0:
            return None
        try:
            fleet = Fleet.open(fd)
        except (OSError, ValueError):
            return None
        return fleet if self.process.environment.place < fleet.places else None
