"""What the tests of this distribution share: events that are awaited, and a far end's word that all was told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from jackfield_gemini.testing import PATIENCE, GeminiConnectionEnd


class Watcher:
    """Waits for events of a transport or a session, and fails where they never come."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def up_to(self, events: AsyncIterator[Any], *kinds: str) -> list[Any]:
        """Return the events up to the one that completes `kinds`."""
        told: list[Any] = []
        wanted = list(kinds)
        try:
            async with asyncio.timeout(PATIENCE):
                async for event in events:
                    told.append(event)
                    if event.type in wanted:
                        wanted.remove(event.type)
                    if not wanted:
                        return told
        except TimeoutError:
            pass
        seen = ", ".join(dict.fromkeys(event.type for event in told)) or "nothing"
        raise AssertionError(f"{' and '.join(wanted)} never came; told was {seen}")

    async def first(self, events: AsyncIterator[Any], kind: str, when: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the next event of that kind for which `when` holds."""
        while True:
            event = (await self.up_to(events, kind))[-1]
            if when(event):
                return event

    async def all_told(self, transport: Any, far: GeminiConnectionEnd) -> None:
        """Wait until the transport has told of all that the far end has sent so far."""
        marker = await far.strange(next(self._numbers))
        seen: list[Any] = []
        news = asyncio.Event()

        def look(message: Any) -> None:
            seen.append(message)
            news.set()

        transport.on("*", look)
        try:
            async with asyncio.timeout(PATIENCE):
                while marker not in seen:
                    news.clear()
                    await news.wait()
        finally:
            transport.off("*", look)


@pytest.fixture
def watch() -> Watcher:
    return Watcher()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)
