"""Ending a conversation politely: the agent says goodbye, and is heard to the end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from jackfield.budget import Budget
from jackfield.errors import TransportError
from jackfield.transport.events import TurnStarted

if TYPE_CHECKING:
    from .session import RealtimeSession

__all__ = ["say_farewell"]

_OURS = {"jackfield": "farewell"}


async def say_farewell(session: RealtimeSession, budget: Budget) -> None:
    """Let the agent say goodbye; return when that was heard, or the grace is over.

    The goodbye is known by the response's metadata, for others may be asked for before it.
    """
    if budget.farewell is None or session.status != "connected":
        return
    over = asyncio.Event()
    goodbye: list[str] = []

    def starts(event: TurnStarted) -> None:
        if event.metadata == _OURS:
            goodbye.append(event.response_id)

    def ends(event: Any) -> None:
        if event.metrics.response_id in goodbye:
            over.set()

    session.transport.on("turn_started", starts)
    session.on("turn_metrics", ends)
    try:
        with contextlib.suppress(TransportError, TimeoutError):
            async with asyncio.timeout(budget.grace_seconds):
                await session.request_response(
                    {"instructions": budget.farewell, "tool_choice": "none", "metadata": _OURS}
                )
                await over.wait()
    finally:
        session.transport.off("turn_started", starts)
        session.off("turn_metrics", ends)
