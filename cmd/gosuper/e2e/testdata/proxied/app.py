"""An ASGI application without any framework, which can misbehave."""

import asyncio
import json
import os
import signal
import socket
import time


def report(text):
    address = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(text, address)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    if path == "/sleep":
        await asyncio.sleep(600)
    elif path == "/nap":
        await asyncio.sleep(1)
    elif path == "/hoard":
        app.hoard = b"x" * (200 << 20)
    elif path == "/block":
        time.sleep(600)
    elif path == "/exit":
        os._exit(3)
    elif path == "/kill":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif path == "/report":
        report(scope["query_string"].replace(b"+", b"\n"))
    fails = path == "/broken" or (path == "/answer" and os.environ.get("WHO") == "1")
    status = 500 if fails else 200
    headers = [(b"content-type", b"text/plain"), (b"x-worker-pid", str(os.getpid()).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if path == "/stream":
        for i in range(1000):
            await send({"type": "http.response.body", "body": b"%d\n" % i, "more_body": True})
            await asyncio.sleep(0.02)
    elif path == "/stall":
        await send({"type": "http.response.body", "body": b"0\n", "more_body": True})
        await asyncio.sleep(600)
    body = b"hello from behind\n"
    if path == "/headers":
        body = json.dumps({k.decode(): v.decode() for k, v in scope["headers"]}).encode()
    await send({"type": "http.response.body", "body": body})
