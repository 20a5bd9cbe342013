"""The model's voice as a `MediaStreamTrack`: for a recorder, a player, or another peer connection."""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction
from typing import Final

import av
from aiortc import MediaStreamError, MediaStreamTrack

from .media import RATE

__all__ = ["RemoteTrack"]

_MOST_WAITING: Final = 250
"""Frames, 5 s of them, that wait for a slow reader; the oldest go first."""
_TIME_BASE: Final = Fraction(1, RATE)


class RemoteTrack(MediaStreamTrack):
    """Frames of PCM16 mono at 24,000 Hz, as they come in: 20 ms each, silence included.

    It begins to be filled when somebody reads, and ends with the connection.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        """Frames that a slow reader missed."""
        self._frames: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._read = False
        self._pts = 0

    async def recv(self) -> av.AudioFrame:
        """Return the next frame. Raises `MediaStreamError` at the end."""
        self._read = True
        while not self._frames:
            if self.readyState != "live":
                raise MediaStreamError
            self._news.clear()
            await self._news.wait()
        pcm = self._frames.popleft()
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.planes[0].update(pcm)
        frame.sample_rate = RATE
        frame.pts, frame.time_base = self._pts, _TIME_BASE
        self._pts += frame.samples
        return frame

    def put(self, pcm: bytes) -> None:
        """Add what was heard."""
        if not self._read or self.readyState != "live":
            return
        self._frames.append(pcm)
        if len(self._frames) > _MOST_WAITING:
            self._frames.popleft()
            self.dropped += 1
        self._news.set()

    def end(self) -> None:
        """Nothing more will come."""
        self.stop()
        self._news.set()
