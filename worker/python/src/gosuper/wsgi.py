"""WSGI applications on threads, through a2wsgi."""

from __future__ import annotations

import inspect
from typing import Any, cast

from gosuper.asgi import Application


def is_wsgi(app: Any) -> bool:
    """Whether an application is called as ``app(environ, start_response)``, and not by ASGI.

    What is a coroutine function or a class, or takes one argument (ASGI 2) or three, is not.
    """
    if inspect.isclass(app):
        return False
    call = app if inspect.isfunction(app) or inspect.ismethod(app) else getattr(app, "__call__", app)  # noqa: B004
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call):
        return False
    try:
        inspect.signature(app).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def adapt(app: Any, threads: int) -> Application:
    """The application for ASGI, on so many threads. ImportError says that a2wsgi is missing."""
    from a2wsgi import WSGIMiddleware

    def terminated(environ: Any, start_response: Any) -> Any:
        # As Gunicorn does, for frameworks that else take a body without Content-Length, in chunks, for empty.
        environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    return cast(Application, WSGIMiddleware(terminated, workers=threads))
