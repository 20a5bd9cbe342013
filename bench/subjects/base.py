"""What a subject is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

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
