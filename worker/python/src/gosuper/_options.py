"""The command line of ``python -m gosuper``: uvicorn's options for the application and the protocol, under its names."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

ELSEWHERE = {
    "--workers": "workers",
    "--reload": "`gosuper --reload`, and the table [watch]",
    "--reload-dir": "watch.paths",
    "--reload-include": "watch.paths",
    "--reload-exclude": "watch.paths",
    "--reload-delay": "`gosuper --reload`, and the table [watch]",
    "--fd": "bind",
    "--uds": 'bind (`bind = ["unix:/path"]`)',
    "--backlog": "backlog",
    "--limit-concurrency": "worker_connections",
    "--limit-max-requests": "max_requests",
    "--limit-max-requests-jitter": "max_requests_jitter",
    "--timeout-keep-alive": "keepalive",
    "--timeout-graceful-shutdown": "graceful_timeout, and drain_timeout for a reload",
    "--timeout-worker-healthcheck": "watchdog",
    "--access-log": "log.access_file",
    "--no-access-log": "log.access_file",
    "--ssl-keyfile": "tls.key",
    "--ssl-certfile": "tls.cert",
    "--ssl-keyfile-password": "tls.key, which has no password",
    "--ssl-version": "tls.cert and tls.key",
    "--ssl-cert-reqs": "tls.cert and tls.key",
    "--ssl-ca-certs": "tls.cert and tls.key",
    "--ssl-ciphers": "tls.cert and tls.key",
}
"""What the supervisor does, and the key of supervisor.toml that takes the place of the option."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        advice = ""
        if message.startswith("unrecognized"):
            near = difflib.get_close_matches(message.split()[2].partition("=")[0], self._option_string_actions, 1, 0.8)
            advice = 'flags of gosuper itself stand where no "--" is before them, as in gosuper app:app -w 4'
            if near:
                advice = f"did you mean {near[0]}?"
            advice = f"gosuper: hint: {advice}\n"
        self.exit(2, f"gosuper: error: {message}\n{advice}")


class _Elsewhere(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> NoReturn:
        option = args[-1]
        parser.exit(
            2,
            f"gosuper: error: {option} belongs to the supervisor\n"
            f"gosuper: hint: set {ELSEWHERE[option]} in supervisor.toml\n",
        )


def parser() -> argparse.ArgumentParser:
    """The parser; what it returns has uvicorn's names of Config parameters where it has them."""
    p = _Parser(prog="python -m gosuper", allow_abbrev=False, description="Serve an ASGI or WSGI application.")
    p.add_argument("app", metavar="APP", help="MODULE:ATTRIBUTE")
    p.add_argument("--host", default=None, help="address without gosuper [127.0.0.1]")
    p.add_argument("--port", type=int, default=None, help="port without gosuper [8000]")
    p.add_argument("--app-dir", default="", help="look for APP in this folder")
    p.add_argument("--factory", action="store_true", help="APP is a function that returns the application")
    p.add_argument("--interface", choices=("auto", "asgi3", "asgi2", "wsgi"), default="auto")
    p.add_argument("--threads", type=int, default=40, help="threads of a WSGI application [%(default)s]")
    p.add_argument("--cancel-on-disconnect", action="store_true", help="cancel a handler whose client has hung up")
    p.add_argument("--loop", default="auto", help="auto, asyncio, uvloop or MODULE:FACTORY [%(default)s]")
    p.add_argument("--http", default="auto", help="auto, h11, httptools, zttp or MODULE:CLASS [%(default)s]")
    p.add_argument("--http2", action="store_true", help="HTTP/2 as well, with the package zttp")
    p.add_argument("--ws", default="auto", help="auto, none, websockets, websockets-sansio, wsproto or MODULE:CLASS")
    p.add_argument("--ws-max-size", type=int, default=16 * 1024 * 1024)
    p.add_argument("--ws-max-queue", type=int, default=32)
    p.add_argument("--ws-ping-interval", type=float, default=20.0)
    p.add_argument("--ws-ping-timeout", type=float, default=20.0)
    p.add_argument("--ws-per-message-deflate", type=_truth, default=True, metavar="BOOL")
    p.add_argument("--lifespan", choices=("auto", "on", "off"), default="auto")
    p.add_argument("--env-file", default=None)
    p.add_argument("--log-config", default=None)
    p.add_argument("--log-level", default=None)
    p.add_argument("--use-colors", action=argparse.BooleanOptionalAction, default=None)
    p.add_argument("--proxy-headers", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--server-header", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--date-header", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--forwarded-allow-ips", default=None)
    p.add_argument("--root-path", default="")
    p.add_argument("--header", dest="headers", action="append", default=[], type=_header, metavar="NAME:VALUE")
    p.add_argument("--h11-max-incomplete-event-size", type=int, default=None)
    p.add_argument("--reset-contextvars", action="store_true")
    for option in ELSEWHERE:
        p.add_argument(option, action=_Elsewhere, nargs="?", help=argparse.SUPPRESS)
    return p


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; a mistake ends the process with status 2."""
    options = parser().parse_args(argv)
    if options.http2 and options.http == "auto":
        options.http = "zttp"  # which alone speaks it
    return options


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name, value


def _truth(text: str) -> bool:
    truths = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.lower() not in truths:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return truths[text.lower()]
