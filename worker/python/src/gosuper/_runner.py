"""The program ``python -m gosuper``."""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import importlib.util
import socket
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gosuper import _mistakes, _options, _version
from gosuper._environ import StrayWorkerError, inherited
from gosuper._process import process

if TYPE_CHECKING:
    from gosuper._loader import Loader
    from gosuper._uvicorn import Config

_BACKLOG = 2048
_OURS = ("host", "port", "app_dir", "cancel_on_disconnect", "log_config")
"""Options that are no parameters of the configuration, or not as they are."""


def main(argv: Sequence[str] | None = None) -> None:
    """Serve an application until told to finish."""
    loader = _loader() if process.environment.loader >= 0 else None  # first: it sees to it that its end is told as it is
    try:
        options = _options.parse(argv)
    except SystemExit as error:
        if not error.code:
            raise  # --help
        _mistakes.give_up(2)
    if loader is None:
        try:
            process.environment.require()
        except StrayWorkerError as error:
            _mistakes.fail(str(error))
    if importlib.util.find_spec("uvicorn") is None:
        _mistakes.fail("uvicorn is not installed", 'pip install "gosuper[uvicorn]"')
    faulthandler.enable()  # the abort signal, SIGABRT, prints the stacks of all threads, also while this imports
    sys.path.insert(0, options.app_dir)
    try:
        from gosuper._uvicorn import Server

        config = _config(options)
    except (ImportError, AttributeError, TypeError) as error:
        if _version.is_tested():
            raise
        _mistakes.fail(
            f"uvicorn {_version.installed()} is another than gosuper knows, which is {_version.TESTED}: {error}",
            'pip install "gosuper[uvicorn]"',
        )
    _mistakes.load(config)
    _complete()
    if loader is not None:
        config.get_loop_factory()  # imports it
        loader.run()  # it returns in each worker
    config.equip(process.environment)
    server = Server(config, process, options.cancel_on_disconnect)
    server.run(_sockets(options, config))


def _complete() -> None:
    """Import what frameworks would at their first stream or call of a thread, while all other requests wait for it."""
    if "anyio" in sys.modules:
        with contextlib.suppress(ImportError):  # the name is anyio's own affair
            importlib.import_module("anyio._backends._asyncio")


def _loader() -> Loader:
    from gosuper._loader import Loader

    return Loader(process)


def _config(options: Namespace) -> Config:
    import uvicorn.config

    from gosuper._uvicorn import Config

    parameters: dict[str, Any] = {name: value for name, value in vars(options).items() if name not in _OURS}
    # What belongs to the supervisor is in the namespace too, always as None.
    parameters = {
        name: value for name, value in parameters.items() if "--" + name.replace("_", "-") not in _options.ELSEWHERE
    }
    log_config: Any = options.log_config
    if log_config is None:
        log_config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
        log_config["loggers"]["gosuper"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return Config(
        host=options.host or "127.0.0.1",
        port=8000 if options.port is None else options.port,
        workers=1,
        access_log=not process.environment.supervised,
        log_config=log_config,
        **parameters,
    )


def _sockets(options: Namespace, config: Config) -> list[socket.socket]:
    env = process.environment
    if env.sockets:
        if options.host is not None or options.port is not None:
            print("gosuper: warning: --host and --port are ignored, gosuper binds", file=sys.stderr)
        return [inherited(fd) for fd in env.sockets]
    if env.supervised:
        _mistakes.fail("gosuper has given no listening socket", "set bind in supervisor.toml")
    sock = config.bind_socket()
    sock.set_inheritable(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.listen(_BACKLOG)
    sock.setblocking(False)
    return [sock]
