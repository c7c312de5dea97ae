"""A pretended local model: large, slow to load, and only read afterwards, as weights are."""

import time
import zlib

import gosuper
from app import settings

KINDS = ("chat", "code", "search")


class Model:
    def __init__(self, mib: int, seconds: float) -> None:
        gosuper.status("loading the model")
        gosuper.extend_startup(seconds + 60)
        time.sleep(seconds)
        self.weights = bytes(range(256)) * (mib << 12)
        gosuper.status("")

    def classify(self, prompt: str) -> str:
        """What kind of question this is, by a look at some of the weights."""
        start = zlib.crc32(prompt.encode()) % max(1, len(self.weights) - 4096)
        return KINDS[sum(self.weights[start : start + 4096], start) % len(KINDS)]


# At import, and not in the lifespan, so that preload can share it between the workers.
model = Model(settings.MODEL_MIB, settings.MODEL_SECONDS)
