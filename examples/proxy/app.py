"""An ASGI application that knows nothing of gosuper."""

import asyncio


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        await asyncio.sleep(3600)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    if scope["path"] == "/stream":
        for word in ("one", "two", "three"):
            await send({"type": "http.response.body", "body": f"data: {word}\n\n".encode(), "more_body": True})
            await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b"data: done\n\n"})
