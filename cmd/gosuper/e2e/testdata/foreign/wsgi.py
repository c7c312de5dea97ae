"""A WSGI application in one function."""

import os


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Worker-Pid", str(os.getpid()))])
    return [b"hello from wsgi\n"]
