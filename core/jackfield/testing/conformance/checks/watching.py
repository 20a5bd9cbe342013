"""Waiting for what a transport tells, as the checks do it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, Mapping
from typing import Any

from jackfield.testing.conformance.far_end import PATIENCE, FarConnection
from jackfield.transport import RealtimeTransportLayer

__all__ = ["all_told", "changes", "everything", "first", "in_time", "turn", "up_to", "whole_turn"]

_numbers = itertools.count(1_000_000)


async def in_time(what: str, awaitable: Any) -> Any:
    """Await it, and fail the check where it takes too long."""
    try:
        async with asyncio.timeout(PATIENCE) as limit:
            return await awaitable
    except TimeoutError:
        if limit.expired():
            raise AssertionError(f"waited in vain for {what}") from None
        raise


def changes(transport: RealtimeTransportLayer) -> list[Any]:
    """Return a list that `connection_change` events are added to."""
    seen: list[Any] = []
    transport.on("connection_change", seen.append)
    return seen


async def all_told(transport: RealtimeTransportLayer, far: FarConnection) -> None:
    """Wait until the transport has told of everything that the far end has sent so far."""
    seen: list[Mapping[str, Any]] = []
    news = asyncio.Event()

    def look(message: Mapping[str, Any]) -> None:
        seen.append(message)
        news.set()

    transport.on("*", look)
    try:
        marker = await far.strange(next(_numbers))
        async with asyncio.timeout(PATIENCE):
            while marker not in seen:
                news.clear()
                await news.wait()
    except TimeoutError:
        raise AssertionError("a message that was sent never came on '*'") from None
    finally:
        transport.off("*", look)


async def first(events: AsyncIterable[Any], kind: str) -> Any:
    """Return the next event of that type."""
    return (await up_to(events, kind))[-1]


async def turn(events: AsyncIterable[Any]) -> list[Any]:
    """Return the events up to the end of the turn."""
    return await up_to(events, "turn_done")


async def whole_turn(events: AsyncIterable[Any]) -> list[Any]:
    """Return the events up to the end of the turn and of its audio, whichever comes last."""
    return await up_to(events, "turn_done", "audio_done")


async def everything(events: AsyncIterable[Any]) -> list[Any]:
    """Return the events up to the end of the stream."""
    return [event async for event in events]


async def up_to(events: AsyncIterable[Any], *kinds: str) -> list[Any]:
    """Return the events up to and including one of each of these types."""
    told: list[Any] = []
    try:
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                told.append(event)
                if set(kinds) <= {event.type for event in told}:
                    return told
    except TimeoutError:
        pass
    seen = ", ".join(dict.fromkeys(event.type for event in told)) or "nothing"
    raise AssertionError(f"{' and '.join(sorted(kinds))} never came; told was {seen}")
