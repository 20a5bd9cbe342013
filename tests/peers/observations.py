"""What a client lets its application know during a conversation, in words that all clients share.

Each adapter (`peer_*.py`) turns its client's own events into these; `conversation` reads nothing else of a client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from attrs import define, field, frozen

from jackfield_local import LocalServer

__all__ = [
    "AgentSpoke",
    "Failed",
    "Interrupted",
    "Kind",
    "Log",
    "Observation",
    "Peer",
    "ResponseEnded",
    "Speak",
    "ToolRan",
    "UserSaid",
    "beside",
]


@frozen
class AgentSpoke:
    """The client delivered speech of the agent: PCM16 mono, 24,000 Hz."""

    response_id: str
    pcm: bytes


@frozen
class ResponseEnded:
    """The client told that a response is over, and what was said in it."""

    response_id: str
    text: str


@frozen
class UserSaid:
    """The client told what the user said."""

    text: str


@frozen
class ToolRan:
    """The application's tool was called by the client."""

    name: str
    arguments: Mapping[str, Any]


@frozen
class Interrupted:
    """The client told its application to stop playing."""


@frozen
class Failed:
    """The client told of an error."""

    message: str


Observation: TypeAlias = AgentSpoke | ResponseEnded | UserSaid | ToolRan | Interrupted | Failed
Kind = TypeVar("Kind", bound=Observation)


@define
class Log:
    """All that one client let its application know, in order."""

    entries: list[Observation] = field(factory=list)
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)

    def add(self, observation: Observation) -> None:
        """Note an observation."""
        self.entries.append(observation)
        self._news.set()

    def of(self, kind: type[Kind], begin: int = 0, end: int | None = None) -> list[Kind]:
        """Return the observations of a kind, of all entries or of those numbered from `begin` to before `end`."""
        return [entry for entry in self.entries[begin:end] if isinstance(entry, kind)]

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; it is looked at whenever something was noted."""
        while not condition():
            self._news.clear()
            await self._news.wait()


Speak: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Streams what the user says, PCM16 mono at 24,000 Hz, by the client's own means."""

Peer: TypeAlias = Callable[[LocalServer, Log], AbstractAsyncContextManager[Speak]]
"""A client: connected to the server while the context lasts, it notes what it tells and hands out its `Speak`."""


@asynccontextmanager
async def beside(reading: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Read a client's events beside what is done in the context; a reader that fails ends that as well."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reading)
        yield
        task.cancel()
