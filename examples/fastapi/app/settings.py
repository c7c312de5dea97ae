"""What the environment says, read once."""

import os

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///agent.db")

# Anything that speaks OpenAI's API: vLLM, Ollama, a gateway, or endpoint.py beside this.
OPENAI_BASE_URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8100/v1")
OPENAI_API_KEY = os.environ.get("OPENAI_API_KEY", "none")
OPENAI_MODEL = os.environ.get("OPENAI_MODEL", "small")

# The pretended local model, and how much memory each question leaks.
MODEL_MIB = int(os.environ.get("MODEL_MIB", "200"))
MODEL_SECONDS = float(os.environ.get("MODEL_SECONDS", "3"))
LEAK_KIB = int(os.environ.get("LEAK_KIB", "0"))
