"""The time of the conversation, which the microphone and the loudspeaker share: milliseconds of audio.

In realtime it keeps to the clock on the wall. The fast stage doesn't look at that clock: audio passes as quickly as
it can be sent, and time stands still while the far end has something to do, so that a conversation takes the same
course every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from jackfield_local.demo.speaker import Speaker

__all__ = ["FRAME_MS", "FastStage", "Microphone", "RealtimeStage", "Stage"]

FRAME_MS = 20.0
"""The microphone sends this much audio at a time, silence included."""


class Microphone(Protocol):
    """What is said into the conversation."""

    def take(self, ms: float, now_ms: float) -> bytes:
        """Return the next `ms` milliseconds of audio: speech, or silence."""
        ...


class Stage(Protocol):
    """What the conversation needs of time."""

    @property
    def now_ms(self) -> float:
        """How far the conversation has come."""
        ...

    async def run(self, ms: float) -> None:
        """Let `ms` milliseconds pass: the microphone is heard, the loudspeaker plays."""
        ...

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the far end does; events make the conversation look at `condition` again."""
        ...

    def notify(self) -> None:
        """Tell that something happened that a condition may depend on."""
        ...


class _Base:
    def __init__(
        self,
        microphone: Microphone,
        speaker: Speaker,
        send: Callable[[bytes], Awaitable[None]],
        tick: Callable[[], None],
    ) -> None:
        """`send` takes a frame of the microphone; `tick` is called after each."""
        self._microphone = microphone
        self._speaker = speaker
        self._send = send
        self._tick = tick
        self._frames = 0

    @property
    def now_ms(self) -> float:
        return self._frames * FRAME_MS

    async def _send_frame(self) -> None:
        pcm = self._microphone.take(FRAME_MS, self.now_ms)
        self._frames += 1
        await self._send(pcm)
        self._tick()


class RealtimeStage(_Base):
    """Keeps to the wall's clock. A frame that was late is caught up with: the microphone never skips."""

    _started: float | None = None

    async def run(self, ms: float) -> None:
        """See `Stage.run`."""
        end = self.now_ms + ms
        while self.now_ms < end:
            await self._frame()

    async def until(self, condition: Callable[[], bool]) -> None:
        """See `Stage.until`. Meanwhile the microphone sends on, and the loudspeaker plays."""
        while not condition():
            await self._frame()

    def notify(self) -> None:
        """See `Stage.notify`: conditions are looked at after every frame anyway."""

    async def _frame(self) -> None:
        clock = asyncio.get_running_loop().time
        if self._started is None:
            self._started = clock()
        self._speaker.play(FRAME_MS, self.now_ms)
        await self._send_frame()
        await asyncio.sleep(max(0.0, self._started + self.now_ms / 1000 - clock()))


class FastStage(_Base):
    """Doesn't look at the wall's clock."""

    def __init__(
        self,
        microphone: Microphone,
        speaker: Speaker,
        send: Callable[[bytes], Awaitable[None]],
        tick: Callable[[], None],
    ) -> None:
        super().__init__(microphone, speaker, send, tick)
        self._news = asyncio.Event()

    async def run(self, ms: float) -> None:
        """See `Stage.run`. What the caller hears in that time is played first: answers find it in the past."""
        frames = -int(-ms // FRAME_MS)
        self._speaker.play(frames * FRAME_MS, self.now_ms)
        for _ in range(frames):
            await self._send_frame()

    async def until(self, condition: Callable[[], bool]) -> None:
        """See `Stage.until`. Time stands still."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    def notify(self) -> None:
        """See `Stage.notify`."""
        self._news.set()
