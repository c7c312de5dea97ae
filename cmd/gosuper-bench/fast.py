"""The bench's agent as an application of FastAPI."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import ballast  # noqa: F401
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from app import HEALTH, ready, seconds, spin, start


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    ready()
    yield


app = FastAPI(lifespan=lifespan, openapi_url=None)


def answer(body: bytes = b"done\n") -> Response:
    # The pid of the process that answers, which need not be the one that loaded this.
    return Response(body, media_type="application/json", headers={"x-worker-pid": str(os.getpid())})


@app.get("/health")
async def health() -> Response:
    return answer(HEALTH)


@app.post("/agent")
async def agent(request: Request) -> Response:
    await request.body()
    return answer()


@app.get("/agent/stream")
async def stream(tokens: int, delay: str) -> StreamingResponse:
    async def events() -> AsyncIterator[bytes]:
        await asyncio.sleep(start(delay))
        for _ in range(tokens):
            await asyncio.sleep(seconds(delay))
            yield b"event: token\ndata: {}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers={"x-worker-pid": str(os.getpid())})


@app.get("/debug/sleep")
async def sleep(d: str) -> Response:
    await asyncio.sleep(seconds(d))
    return answer()


@app.get("/debug/thread")
def thread(d: str) -> Response:
    time.sleep(seconds(d))
    return answer()


@app.get("/debug/block")
async def block(d: str) -> Response:
    time.sleep(seconds(d))
    return answer()


@app.get("/debug/spin")
async def spinning(d: str) -> Response:
    spin(seconds(d))
    return answer()
