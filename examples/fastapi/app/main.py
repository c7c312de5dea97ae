"""The application: gosuper app.main:app"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from openai import OpenAIError
from pydantic import BaseModel, Field

import gosuper
from app import settings
from app.agent import Agent
from app.database import Database

logger = logging.getLogger(__name__)

CHECK_SECONDS = 3


class Services:
    """What a worker has of its own."""

    def __init__(self) -> None:
        self.agent = Agent()
        self.database = Database(settings.DATABASE_URL)
        self.leaked: list[bytes] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    services = app.state.services = Services()
    await services.database.create()
    yield
    # Only now, when the last request is done. To end streams this would come too late: see stream() below.
    await services.agent.client.close()
    await services.database.engine.dispose()


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Has = Annotated[Services, Depends(services)]
app = FastAPI(title="agent", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, Any]:
    """This worker answers. What it needs is not asked, so that nobody restarts it for the faults of others."""
    return {"status": "ok", "worker": gosuper.worker.id}


@app.get("/health/ready")
async def ready(has: Has) -> JSONResponse:
    """Whether all that a request needs is there, and what is wrong with what is not."""
    checks = {"database": has.database.count(), "model": has.agent.check()}
    results = await asyncio.gather(
        *(asyncio.wait_for(check, CHECK_SECONDS) for check in checks.values()), return_exceptions=True
    )
    said = {
        name: f"{type(result).__name__}: {result}" if isinstance(result, BaseException) else "ok"
        for name, result in zip(checks, results, strict=True)
    }
    fine = all(text == "ok" for text in said.values())
    content = {"status": "ok" if fine else "unavailable", "checks": said}
    return JSONResponse(content, 200 if fine else 503)


class Question(BaseModel):
    prompt: str = Field(min_length=1, max_length=20_000)


@app.post("/agent")
async def agent(question: Question, has: Has) -> dict[str, Any]:
    has.leaked.append(b"x" * (settings.LEAK_KIB << 10))  # on purpose: the limits in supervisor.toml deal with it
    try:
        answer = await has.agent.answer(question.prompt)
    except OpenAIError as error:
        logger.warning("the model does not answer: %r, because of %r", error, error.__cause__)
        raise HTTPException(502, "the model does not answer") from error
    await has.database.record(gosuper.worker.id, question.prompt, answer)
    return {"answer": answer, "worker": gosuper.worker.id}


@app.get("/agent/stream")
async def stream(
    has: Has, prompt: Annotated[str, Query(min_length=1)], tokens: Annotated[int, Query(ge=1, le=1000)] = 100
) -> StreamingResponse:
    """Server-sent events: token for token, then done. It takes as long as the model does."""

    async def events() -> AsyncIterator[str]:
        answer = ""
        try:
            async for token in has.agent.tokens(prompt, tokens):
                answer += token
                yield event("token", {"text": token})
        except OpenAIError as error:
            logger.warning("the model does not answer: %r, because of %r", error, error.__cause__)
            yield event("error", {"message": "the model does not answer"})
            return
        await has.database.record(gosuper.worker.id, prompt, answer)
        yield event("done", {"worker": gosuper.worker.id})

    # When this worker is to finish the iterator is ended where it waits, and the client is told.
    farewell = event("error", {"message": "Server shutting down", "retry": True})
    return StreamingResponse(
        gosuper.stream(events(), farewell),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
