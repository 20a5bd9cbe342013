"""A whole session of the `openai-agents` package, for orientation."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .base import CHUNK

if TYPE_CHECKING:
    from agents.realtime import RealtimeSession

TITLE = "openai-agents session"


def missing() -> str | None:
    return None if importlib.util.find_spec("agents") else "openai-agents is not installed"


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[_Connection]:
    from agents.realtime import RealtimeAgent, RealtimeRunner

    agent = RealtimeAgent(name="Bench", instructions="Be brief.")
    runner = RealtimeRunner(agent, config={"tracing_disabled": True})
    async with await runner.run(model_config={"url": url, "api_key": "bench"}) as session:
        async for event in session:
            raw = event.data if event.type == "raw_model_event" else None
            if raw and raw.type == "raw_server_event" and raw.data["type"] == "session.updated":
                break
        yield _Connection(session)


class _Connection:
    def __init__(self, session: RealtimeSession) -> None:
        self._session = session

    async def run(self, turns: int, mark: Callable[[], None]) -> int:
        mark()
        await self._session.send_audio(CHUNK)
        received = 0
        async for event in self._session:
            if event.type == "audio":
                received += len(event.audio.data)
            elif event.type == "agent_end":
                mark()
                turns -= 1
                if not turns:
                    break
        return received
