"""A small endpoint that speaks OpenAI's API, to try the agent without one.

    python -m gosuper endpoint:app --port 8100

It answers any question with as many words as are asked for, TOKEN_SECONDS apart.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

TOKEN_SECONDS = float(os.environ.get("TOKEN_SECONDS", "0.1"))

app = FastAPI()


class Chat(BaseModel):
    model: str
    messages: list[dict[str, Any]]
    stream: bool = False
    max_completion_tokens: int = 5


@app.get("/v1/models")
async def models() -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "small", "object": "model", "created": 0, "owned_by": "nobody"}]}


@app.post("/v1/chat/completions", response_model=None)
async def chat(asked: Chat) -> dict[str, Any] | StreamingResponse:
    if asked.stream:
        return StreamingResponse(chunks(asked), media_type="text/event-stream")
    text = "".join([word async for word in words(asked)])
    message = {"role": "assistant", "content": text}
    return answer(asked, "chat.completion", {"message": message, "finish_reason": "stop"})


async def words(asked: Chat) -> AsyncIterator[str]:
    said = str(asked.messages[-1]["content"]).split()
    for number in range(asked.max_completion_tokens):
        await asyncio.sleep(TOKEN_SECONDS)
        yield said[number % len(said)] + " "


async def chunks(asked: Chat) -> AsyncIterator[str]:
    async for word in words(asked):
        chunk = answer(asked, "chat.completion.chunk", {"delta": {"content": word}, "finish_reason": None})
        yield f"data: {json.dumps(chunk)}\n\n"
    yield f"data: {json.dumps(answer(asked, 'chat.completion.chunk', {'delta': {}, 'finish_reason': 'stop'}))}\n\n"
    yield "data: [DONE]\n\n"


def answer(asked: Chat, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "1",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
        "choices": [{"index": 0, **choice}],
    }
