"""The bench's agent for Python: the same paths and answers, as ASGI and as WSGI.

Nothing but the standard library, so that what is measured is the server.
"""

import asyncio
import os
import random
import re
import time
from urllib.parse import parse_qs

import ballast  # noqa: F401

HEALTH = b'{"status":"ok"}\n'
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def seconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def start(pause):
    """How long a stream waits before its first pause, in seconds: each for another time. Those that a server accepts in
    the same turn would wake it together ever after, and cost it less the less evenly it shares them out."""
    return random.random() * seconds(pause)


def parameters(query):
    return {name: values[0] for name, values in parse_qs(query).items()}


def spin(d):
    end = time.monotonic() + d
    while time.monotonic() < end:
        pass


def ready():
    os.write(2, b"agent ready\n")  # in one piece: other workers write here too


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
                ready()
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return
    path = scope["path"]
    # The pid of the process that answers, which need not be the one that loaded this.
    headers = [(b"x-worker-pid", str(os.getpid()).encode()), (b"content-type", b"application/json")]
    if path == "/health":
        headers.append((b"content-length", str(len(HEALTH)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": HEALTH})
        return
    query = parameters(scope["query_string"].decode())
    if path == "/agent":
        while (await receive()).get("more_body"):
            pass
    if path == "/agent/stream":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.sleep(start(query["delay"]))
        for _ in range(int(query["tokens"])):
            await asyncio.sleep(seconds(query["delay"]))
            await send({"type": "http.response.body", "body": b"event: token\ndata: {}\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    if path == "/debug/sleep":
        await asyncio.sleep(seconds(query["d"]))
    elif path == "/debug/thread":
        await asyncio.to_thread(time.sleep, seconds(query["d"]))
    elif path == "/debug/block":
        time.sleep(seconds(query["d"]))
    elif path == "/debug/spin":
        spin(seconds(query["d"]))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"done\n"})


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    query = parameters(environ["QUERY_STRING"])
    headers = [("X-Worker-Pid", str(os.getpid())), ("Content-Type", "application/json")]
    if path == "/agent/stream":
        start_response("200 OK", headers)
        return tokens(int(query["tokens"]), seconds(query["delay"]))
    if path == "/debug/sleep":
        time.sleep(seconds(query["d"]))
    elif path == "/debug/spin":
        spin(seconds(query["d"]))
    body = HEALTH if path == "/health" else b"done\n"
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def tokens(n, delay):
    for _ in range(n):
        time.sleep(delay)
        yield b"event: token\ndata: {}\n\n"
