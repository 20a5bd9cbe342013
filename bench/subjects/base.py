"""What a subject is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

CHUNK: Final = bytes(960)
"""20 ms of PCM16: the audio with which a client starts the conversation."""


class Connection(Protocol):
    """A connection that is ready: the server has acknowledged its session."""

    async def run(self, turns: int, mark: Callable[[], None]) -> int:
        """Start the conversation and follow it; return how many bytes of audio were delivered, decoded.

        Calls `mark` when it starts and after each of `turns` turns, which makes `turns + 1` calls.
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
