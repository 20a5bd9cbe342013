"""A whole session of the `openai-agents` package, for orientation."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .base import SessionConnection

TITLE = "openai-agents session"


def missing() -> str | None:
    return None if importlib.util.find_spec("agents") else "openai-agents is not installed"


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[SessionConnection]:
    from agents.realtime import RealtimeAgent, RealtimeRunner

    agent = RealtimeAgent(name="Bench", instructions="Be brief.")
    runner = RealtimeRunner(agent, config={"tracing_disabled": True})
    async with await runner.run(model_config={"url": url, "api_key": "bench"}) as session:
        async for event in session:
            raw = event.data if event.type == "raw_model_event" else None
            if raw and raw.type == "raw_server_event" and raw.data["type"] == "session.updated":
                break
        yield SessionConnection(session)
