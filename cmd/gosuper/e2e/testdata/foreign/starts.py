"""An application that starts when READY exists, and cannot while FAIL does."""

import asyncio
import os
import time

began = time.monotonic()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        while not os.path.exists(os.environ["READY"]):
            if os.path.exists(os.environ["FAIL"]) and time.monotonic() > began + 1.5:
                await send({"type": "lifespan.startup.failed", "message": "cannot load the model"})
                return
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"started\n"})
