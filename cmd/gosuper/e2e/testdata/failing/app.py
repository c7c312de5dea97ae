"""An application of ASGI, and one of WSGI, that fails in the first worker, and asks to be replaced for reasons of its own.

It runs with the package gosuper and without it.
"""

import os
import socket
from urllib.parse import parse_qs


def recycle(why):
    try:
        import gosuper
    except ImportError:
        notify = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"X_GOSUPER_RECYCLE=" + why.encode(), notify)
    else:
        gosuper.recycle(why)


def serve(path, query):
    if path == "/recycle":
        recycle(parse_qs(query)["why"][0])
    elif path == "/answer" and os.environ["WHO"] == "1":
        raise RuntimeError("CUDA error")


def headers():
    return [("x-worker-pid", str(os.getpid())), ("content-length", "0")]


async def app(scope, receive, send):
    assert scope["type"] == "http"
    serve(scope["path"], scope["query_string"].decode())
    given = [(name.encode(), value.encode()) for name, value in headers()]
    await send({"type": "http.response.start", "status": 200, "headers": given})
    await send({"type": "http.response.body"})


def wsgi(environ, start_response):
    serve(environ["PATH_INFO"], environ["QUERY_STRING"])
    start_response("200 OK", headers())
    return []
