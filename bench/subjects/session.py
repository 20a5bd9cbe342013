"""A whole jackfield session: agent, history, events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import transport
from .base import SessionConnection

TITLE = "jackfield session"


def missing(**options: Any) -> str | None:
    try:
        from jackfield import RealtimeAgent, RealtimeSession  # noqa: F401
    except Exception as error:  # whatever it is, this subject can't be measured, and the table says why
        return f"{type(error).__name__}: {error}"
    return transport.missing(**options)


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[SessionConnection]:
    from jackfield import RealtimeAgent, RealtimeSession, create_transport

    agent = RealtimeAgent(name="Bench", instructions="Be brief.")
    wire = create_transport("websocket", **options)
    # A plain installation has no observers; those of this environment are not what is measured.
    async with RealtimeSession(agent, transport=wire, url=url, api_key="bench", observers=()) as session:
        async for event in session:
            if event.type == "connection_change" and event.status == "connected":
                break
        yield SessionConnection(session)
