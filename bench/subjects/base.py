"""What a subject is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

CHUNK: Final = bytes(960)
"""20 ms of PCM16: the audio that a client sends. With the first of it the conversation starts."""


def truncation(item_id: str) -> dict[str, Any]:
    """Return the event with which a client that reckons nothing cuts an answer."""
    return {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": 0}


class Connection(Protocol):
    """A connection that is ready: the server has acknowledged its session."""

    async def send(self, chunk: bytes) -> None:
        """Send audio."""
        ...

    async def follow(self, turns: int, hear: Callable[[bytes], object], mark: Callable[[], object]) -> None:
        """Follow the conversation for `turns` turns.

        Calls `hear` with each piece of audio, decoded, where an application gets it, and `mark` after each turn. The
        answer that is being generated when the user begins to speak is truncated.
        """
        ...


class Subject(Protocol):
    """A module: one client of the Realtime API. What it measures is imported when it is used."""

    TITLE: str

    def missing(self) -> str | None:
        """Why it can't be measured here, or None if it can."""
        ...

    def connect(self, url: str) -> AbstractAsyncContextManager[Connection]:
        """Connect, update the session and wait for the acknowledgement."""
        ...


class SessionConnection:
    """A `Connection` over a session, jackfield's or openai-agents': their events have the same names and shapes."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def send(self, chunk: bytes) -> None:
        await self._session.send_audio(chunk)

    async def follow(self, turns: int, hear: Callable[[bytes], object], mark: Callable[[], object]) -> None:
        async for event in self._session:
            if event.type == "audio":
                hear(event.audio.data)
            elif event.type == "agent_end":
                mark()
                turns -= 1
                if not turns:
                    break
