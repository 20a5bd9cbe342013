"""One conversation with several clients: a call's data channel, and the sidebands that join it.

What any of them sends goes into the one session, and what the session sends goes to all. The session waits for the
data channel, as it would for its only client, unless that hangs; whoever lags far behind is left behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from jackfield_local.session import Channel

__all__ = ["FanOut"]

logger = logging.getLogger(__name__)

_AHEAD: Final = 64
"""Events that may wait for a client that is waited for, before the session waits."""

_LAG: Final = 2048
"""Events that may wait for one that isn't; with more it is left behind."""

_PATIENCE_SECONDS: Final = 2.0
"""For how long a client that takes nothing is waited for while there are others."""

_KEPT: Final = 1024
"""Events of the beginning that are kept for the first client; of a longer beginning the oldest are lost."""

_INBOX: Final = 16
_GRACE_SECONDS: Final = 0.5


class _Left(Exception):  # noqa: N818 - ends the task group of one client, and is no error
    """The client takes no more part."""


@frozen
class _Close:
    code: int
    reason: str


class _Member:
    """One client and what waits for it. `leads`: the session waits for it, unless it `hangs`."""

    def __init__(self, channel: Channel, frames: Iterable[dict[str, Any]], *, leads: bool) -> None:
        self.channel = channel
        self.leads = leads
        self.hangs = False
        self.frames: deque[dict[str, Any] | _Close] = deque(frames)
        self.changed = asyncio.Event()
        self.changed.set()
        self.left_behind = asyncio.Event()

    def put(self, frame: dict[str, Any] | _Close) -> None:
        self.frames.append(frame)
        self.changed.set()


class FanOut:
    """A session's channel to any number of clients, who come and go.

    `beginning` is what was sent before it was made; `patience` is how many seconds a client is waited for that hangs.
    """

    def __init__(self, beginning: Iterable[dict[str, Any]] = (), *, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._beginning: deque[dict[str, Any]] | None = deque(beginning, _KEPT)
        self._members: list[_Member] = []
        self._inbox: asyncio.Queue[tuple[Channel, str | bytes]] = asyncio.Queue(_INBOX)
        self._speaker: Channel | None = None
        self._progress = asyncio.Event()
        self._closing = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.farewell: tuple[int, str] | None = None
        """Code and reason of the first `close`."""

    async def lead(self, channel: Channel, greeting: dict[str, Any]) -> None:
        """Let a client take part for which the session waits; the first gets all that was sent, and no greeting."""
        beginning, self._beginning = self._beginning, None
        await self._attend(_Member(channel, [greeting] if beginning is None else beginning, leads=True))

    async def attend(self, channel: Channel, greeting: dict[str, Any]) -> None:
        """Let a client take part, beginning with a `greeting`, until it is gone, left behind, or all is over."""
        await self._attend(_Member(channel, [greeting], leads=False))

    async def receive(self) -> str | bytes | None:
        """Return the next frame of any client."""
        self._speaker, frame = await self._inbox.get()
        return frame

    def heard(self, event: dict[str, Any]) -> None:
        """Have the client whose frame was received last take note of its event."""
        if self._speaker is not None:
            self._speaker.heard(event)

    async def send(self, event: dict[str, Any]) -> None:
        """Send an event to all; wait while the data channel is slow, and without one for the quickest."""
        self.announce(event)
        while waited_for := self._waited_for():
            self._progress.clear()
            try:
                async with asyncio.timeout(self._patience):
                    await self._progress.wait()
            except TimeoutError:
                for member in waited_for:
                    member.hangs = True

    def announce(self, event: dict[str, Any]) -> None:
        """Send an event to all, and wait for nobody."""
        if self._beginning is not None:
            self._beginning.append(event)
        for member in self._members:
            if len(member.frames) < _LAG:
                member.put(event)
            else:
                member.left_behind.set()

    async def close(self, code: int, reason: str) -> None:
        """Close every client's connection once it has got what waits for it, within a moment."""
        self.farewell = self.farewell or (code, reason)
        self._closing.set()
        for member in self._members:
            member.put(_Close(code, reason))
        await self._empty.wait()

    def _waited_for(self) -> list[_Member]:
        """Return the clients that the session waits for: none while one of them is quick enough."""
        leading = [member for member in self._members if member.leads and not member.hangs] or self._members
        return leading if all(len(member.frames) >= _AHEAD for member in leading) else []

    async def _attend(self, member: _Member) -> None:
        if self._closing.is_set():
            return
        self._members.append(member)
        self._empty.clear()
        self._progress.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(member))
                group.create_task(self._write(member))
                group.create_task(self._leave_behind(member))
                group.create_task(self._give_up(member))
        except* (_Left, ConnectionError):
            logger.debug("A client has left the call")
        finally:
            self._members.remove(member)
            self._progress.set()
            if not self._members:
                self._empty.set()

    async def _read(self, member: _Member) -> None:
        while (frame := await member.channel.receive()) is not None:
            await self._inbox.put((member.channel, frame))
        raise _Left

    async def _write(self, member: _Member) -> None:
        while True:
            await member.changed.wait()
            member.changed.clear()
            while member.frames:
                frame = member.frames[0]
                if isinstance(frame, _Close):
                    await member.channel.close(frame.code, frame.reason)
                    raise _Left
                await member.channel.send(frame)
                member.frames.popleft()
                member.hangs = False
                self._progress.set()

    async def _leave_behind(self, member: _Member) -> None:
        await member.left_behind.wait()
        raise _Left

    async def _give_up(self, member: _Member) -> None:
        """Wait no longer than a moment for a client when all is over."""
        await self._closing.wait()
        await asyncio.sleep(_GRACE_SECONDS)
        raise _Left
