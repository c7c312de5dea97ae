"""What a soak asks of a Python application, with the same paths as the Go worker of these tests."""

import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

app = FastAPI(openapi_url=None)


def headers() -> dict[str, str]:
    return {"X-Worker-Pid": str(os.getpid())}


def seconds(d: str) -> float:
    return float(d[:-2]) / 1000 if d.endswith("ms") else float(d[:-1])


@app.api_route("/", methods=["GET", "POST"])
async def hello(request: Request) -> Response:
    await request.body()
    return Response("hello", headers=headers())


@app.get("/nap")
async def nap(d: str) -> Response:
    await asyncio.sleep(seconds(d))
    return Response("slept", headers=headers())


@app.get("/tokens")
async def tokens(n: int, d: str) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        for _ in range(n):
            yield "event: token\ndata: x\n\n"
            await asyncio.sleep(seconds(d))
        yield "event: done\ndata: all of it\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers=headers())
