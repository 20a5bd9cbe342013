"""The audio that the application sends: taken in any chunks, given out in frames of 20 ms, with a bounded lead.

Whoever sends faster than audio plays is made to wait, so that the far end hears everything, in time. Whoever sends in
real time never waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from jackfield.audio import AudioFormat, Resampler, g711

from .media import FRAME_BYTES, RATE

__all__ = ["Microphone"]

_LEAD_MS: Final = 200
"""So far ahead of its turn audio is taken."""
_LEAD_BYTES: Final = RATE * 2 * _LEAD_MS // 1000
_LAWS: Final[Mapping[str, g711.Law]] = {"audio/pcmu": "ulaw", "audio/pcma": "alaw"}
_BYTES_PER_SECOND: Final = RATE * 2
_BACKLOG_TURNS: Final = 50
"""Frames, a second of them: what waited during all of it waits for nothing."""
_QUIET_PEAK: Final = 512
"""Of 32,768, -36 dBFS: a frame that may be left out without anybody missing it."""


class Microphone:
    """A queue of PCM16 mono at 24,000 Hz. `on_speech` is told when there is something again after there was nothing."""

    def __init__(self, on_speech: Callable[[], None]) -> None:
        self.muted = False
        self._on_speech = on_speech
        self._queued = bytearray()
        self._room = asyncio.Event()
        self._room.set()
        self._writing = asyncio.Lock()
        self._converter: _Converter | None = None
        self._idle = True
        self._partial_seen = False
        self._closed = False
        self._backlog = _Backlog()

    @property
    def queued_ms(self) -> float:
        """How much audio waits for its turn, in milliseconds."""
        return len(self._queued) * 1000 / _BYTES_PER_SECOND

    async def write(self, chunk: bytes, format: AudioFormat, *, flush: bool = False) -> None:  # noqa: A002
        """Take audio in `format`; wait while the lead is used up. Raises `ConnectionError` once it is closed.

        With `flush`, wait until all of it has had its turn.
        """
        async with self._writing:  # chunks of two senders don't get mixed
            if self._converter is None or self._converter.format != format:
                self._converter = _Converter(format)
            # In pieces, so that no chunk is so long that converting it holds up the loop.
            step = int(_LEAD_MS * format.bytes_per_ms)
            for start in range(0, len(chunk), step):
                await self._wait_for_room()
                self._put(self._converter.convert(chunk[start : start + step]))
            if flush:
                await self._empty()
            await self._wait_for_room()

    async def flush(self) -> None:
        """Return once everything that was taken has had its turn."""
        async with self._writing:
            await self._empty()

    def clear(self) -> None:
        """Drop what waits for its turn."""
        self._queued.clear()
        self._room.set()

    def close(self) -> None:
        """Take nothing more; who waits is told."""
        self._closed = True
        self.clear()

    def next_frame(self) -> bytes | None:
        """Return the next 20 ms, None for silence. What is muted has its turn, too: nobody hears it."""
        frame = self._take()
        while frame is not None and self._backlog.skips(frame):
            frame = self._take()
        self._backlog.turn(len(self._queued), waited_for=not self._room.is_set())
        if len(self._queued) < _LEAD_BYTES:
            self._room.set()
        return None if self.muted else frame

    def _take(self) -> bytes | None:
        if len(self._queued) < FRAME_BYTES:
            if self._queued and not self._partial_seen:
                self._partial_seen = True  # the rest of it may be on its way
                return None
            if not self._queued:
                self._idle = True
                return None
        frame = bytes(self._queued[:FRAME_BYTES])
        del self._queued[:FRAME_BYTES]
        self._partial_seen = False
        return frame.ljust(FRAME_BYTES, b"\0")

    def _put(self, pcm: bytes) -> None:
        self._queued += pcm
        if len(self._queued) >= _LEAD_BYTES:
            self._room.clear()
        if self._idle and len(self._queued) >= FRAME_BYTES:
            self._idle = False
            self._on_speech()

    async def _empty(self) -> None:
        while self._queued and not self._closed:
            self._partial_seen = True  # a frame that isn't full won't be any fuller
            self._room.clear()
            await self._room.wait()

    async def _wait_for_room(self) -> None:
        while not self._closed and len(self._queued) >= _LEAD_BYTES:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise ConnectionError("the connection is closed")


class _Backlog:
    """Audio that waits although nobody is ahead of time: it came late once, and all behind it would stay late.

    It is seen by the least that waited during a second. Quiet frames are left out until it is gone.
    """

    def __init__(self) -> None:
        self._least = _LEAD_BYTES
        self._turns = 0
        self._frames = 0

    def turn(self, waiting: int, *, waited_for: bool) -> None:
        """Note how much waits after a frame was taken; `waited_for`: a sender is ahead, and made to wait."""
        self._least = 0 if waited_for else min(self._least, waiting)
        self._turns += 1
        if self._turns == _BACKLOG_TURNS:
            self._frames = self._least // FRAME_BYTES
            self._least, self._turns = _LEAD_BYTES, 0

    def skips(self, frame: bytes) -> bool:
        """Whether a frame is left out."""
        if self._frames == 0 or int(np.abs(np.frombuffer(frame, "<i2").astype(np.int32)).max()) > _QUIET_PEAK:
            return False
        self._frames -= 1
        return True


class _Converter:
    """From the session's format to PCM16 mono at 24,000 Hz, as a stream."""

    def __init__(self, format: AudioFormat) -> None:  # noqa: A002
        self.format = format
        self._odd = b""
        self._law: g711.Law | None = _LAWS.get(format.type)
        self._resampler = None if format.rate == RATE else Resampler(format.rate, RATE)

    def convert(self, chunk: bytes) -> bytes:
        """Return what `chunk` completes; half a sample waits for its other half."""
        if self._law is not None:
            pcm = g711.decode(chunk, self._law)
        else:
            data = self._odd + chunk
            whole = len(data) & ~1
            self._odd = data[whole:]
            pcm = data[:whole]
        return pcm if self._resampler is None else self._resampler.process(pcm)
