"""Ending a conversation politely: the agent says goodbye, and is heard to the end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from jackfield.budget import Budget
from jackfield.errors import TransportError

if TYPE_CHECKING:
    from .session import RealtimeSession

__all__ = ["say_farewell"]


async def say_farewell(session: RealtimeSession, budget: Budget) -> None:
    """Let the agent say goodbye; return when that was heard, or the grace is over."""
    if budget.farewell is None or session.status != "connected":
        return
    over = asyncio.Event()
    goodbye: list[str] = []

    def starts(event: Any) -> None:
        if not goodbye:  # what was being said before has begun before
            goodbye.append(event.response_id)

    def ends(event: Any) -> None:
        if event.metrics.response_id in goodbye:
            over.set()

    session.on("agent_start", starts)
    session.on("turn_metrics", ends)
    try:
        with contextlib.suppress(TransportError, TimeoutError):
            async with asyncio.timeout(budget.grace_seconds):
                await session.request_response({"instructions": budget.farewell, "tool_choice": "none"})
                await over.wait()
    finally:
        session.off("agent_start", starts)
        session.off("turn_metrics", ends)
