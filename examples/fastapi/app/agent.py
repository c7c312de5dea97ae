"""The agent itself: what it asks of the language model."""

from collections.abc import AsyncIterator

from openai import AsyncOpenAI

from app import settings
from app.model import model


class Agent:
    """Made in the lifespan, as its connections do not survive a fork."""

    def __init__(self) -> None:
        self.client = AsyncOpenAI(base_url=settings.OPENAI_BASE_URL, api_key=settings.OPENAI_API_KEY, max_retries=1)

    async def check(self) -> int:
        """How many models the endpoint has; raises what is wrong with it."""
        return len((await self.client.models.list(timeout=2)).data)

    async def answer(self, prompt: str) -> str:
        completion = await self.client.chat.completions.create(
            model=settings.OPENAI_MODEL, messages=[{"role": "user", "content": self._ask(prompt)}]
        )
        return completion.choices[0].message.content or ""

    async def tokens(self, prompt: str, most: int) -> AsyncIterator[str]:
        """The answer as it comes. The endpoint is told to stop when nobody wants it any more."""
        chunks = await self.client.chat.completions.create(
            model=settings.OPENAI_MODEL,
            messages=[{"role": "user", "content": self._ask(prompt)}],
            max_completion_tokens=most,
            stream=True,
        )
        async with chunks:
            async for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    def _ask(self, prompt: str) -> str:
        return f"[{model.classify(prompt)}] {prompt}"
