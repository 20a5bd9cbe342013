"""A whole jackfield session: agent, history, events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from . import transport
from .base import CHUNK

if TYPE_CHECKING:
    from jackfield import RealtimeSession

TITLE = "jackfield session"


def missing(**options: Any) -> str | None:
    try:
        from jackfield import RealtimeAgent, RealtimeSession  # noqa: F401
    except Exception as error:  # whatever it is, this subject can't be measured, and the table says why
        return f"{type(error).__name__}: {error}"
    return transport.missing(**options)


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[_Connection]:
    from jackfield import RealtimeAgent, RealtimeSession, create_transport

    agent = RealtimeAgent(name="Bench", instructions="Be brief.")
    wire = create_transport("websocket", **options)
    async with RealtimeSession(agent, transport=wire, url=url, api_key="bench") as session:
        async for event in session:
            if event.type == "connection_change" and event.status == "connected":
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
