"""An agent whose model needs a GPU for itself.

The GPU is a pretended one: an address that one process at a time can have, and that the
kernel takes back at its end, as it does with the memory of a real one.
"""

import asyncio
import os
import socket
import time
from urllib.parse import parse_qs


class Model:
    """What is loaded onto one GPU. Opening one that another process has fails."""

    def __init__(self, gpu: str) -> None:
        self.gpu = gpu
        self.device = socket.socket(socket.AF_UNIX)
        self.device.bind(f"\0gpu {gpu} of {os.getppid()}")
        time.sleep(0.5)  # the weights

    async def answer(self, prompt: str):
        for word in prompt.split():
            await asyncio.sleep(0.01)
            yield word


model: Model


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        global model
        await receive()
        model = Model(os.environ["CUDA_VISIBLE_DEVICES"])
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    prompt = parse_qs(scope["query_string"].decode()).get("prompt", ["hello world"])[0]
    headers = [(b"content-type", b"text/event-stream"), (b"x-gpu", model.gpu.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for word in model.answer(prompt):
        await send({"type": "http.response.body", "body": f"data: {word}\n\n".encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
