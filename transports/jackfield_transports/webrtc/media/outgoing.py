"""The track that we send: a source of PCM, asked every 20 ms by the monotonic clock, and encoded here.

A packet is handed to aiortc, which sends it as it is: its own encoder, resampler and level meter, and the executor
that these run in, stay out of the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import av
from aiortc import MediaStreamError, MediaStreamTrack

from .codec import FRAME_BYTES, FRAME_MS, SILENCE, OpusEncoder

__all__ = ["AudioSource", "OutgoingAudio"]

AudioSource = Callable[[], bytes | None]
"""Returns the next frame, `FRAME_BYTES` of PCM16 mono at 24,000 Hz, or None for silence."""

_FRAME: Final = FRAME_MS / 1000
_TIME_BASE: Final = Fraction(1, 48_000)
_TICKS: Final = 960
"""One frame in RTP's clock for Opus."""
_MOST_BEHIND: Final = 50
"""Frames, a second of them, that are caught up with at once after a stall; a longer one is skipped. What was skipped
would have to be waited for behind what was said meanwhile, for the rest of the call."""
_GUARD: Final = 0.005
"""Seconds that speech is ahead of the clock, so that a chunk may come a little late."""
_TAIL: Final = 2
"""Frames of silence that are encoded, so that speech fades out; then a ready-made packet will do."""


class OutgoingAudio(MediaStreamTrack):
    """An audio track whose `recv` returns an Opus packet every 20 ms, whether or not there is anything to hear.

    The far end's turn detection works on the time of the audio: it would not notice that a speaker stopped if packets
    did.
    """

    kind = "audio"

    def __init__(self, source: AudioSource, bit_rate: int = 48_000) -> None:
        super().__init__()
        self._source = source
        self._encoder = OpusEncoder(bit_rate)
        self._due: float | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._rings: asyncio.Future[None] | None = None
        self._pts = 0
        self._silent = _TAIL
        self.packets = 0
        """How many packets were sent."""

    async def recv(self) -> av.Packet[Any]:
        """Return the next packet when it is due. Raises `MediaStreamError` once the track was stopped."""
        late = self.readyState == "live" and await self._wait()
        if self.readyState != "live":
            raise MediaStreamError
        frame = self._source()
        if frame is None and late and self._silent == 0:
            # So is whoever speaks, on the same loop: silence now would put off all that comes after it, for good.
            await asyncio.sleep(_GUARD)
            frame = self._source()
        packet = av.Packet(self._encode(frame))
        packet.pts = self._pts
        packet.time_base = _TIME_BASE
        self._pts += _TICKS
        self.packets += 1
        return packet

    def stop(self) -> None:
        """End the track; who waits for a packet is told at once."""
        super().stop()
        self._ring()

    def hurry(self) -> None:
        """Speech begins after silence: its first frame goes out in a moment, and not at the next turn of the clock.

        The clock goes by that from then on. The moment is for the frames that follow: whoever makes them is not as
        regular as we are.
        """
        if self._alarm is None or self._due is None or self._silent == 0:
            return
        loop = asyncio.get_running_loop()
        soon = loop.time() + _GUARD
        if soon < self._due:
            self._alarm.cancel()
            self._due = soon
            self._alarm = loop.call_at(soon, self._ring)

    async def _wait(self) -> bool:
        """Wait until the next packet is due; return whether that was missed."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._due is None:
            self._due = now
        behind = int((now - self._due) / _FRAME)
        if behind > _MOST_BEHIND:
            self._due += behind * _FRAME
            self._pts += behind * _TICKS
        late = self._due <= now
        if not late:
            self._rings = loop.create_future()
            self._alarm = loop.call_at(self._due, self._ring)
            try:
                await self._rings
            finally:
                self._alarm.cancel()
                self._alarm = None
            late = loop.time() - self._due > _GUARD
        self._due += _FRAME
        return late

    def _ring(self) -> None:
        if self._rings is not None and not self._rings.done():
            self._rings.set_result(None)

    def _encode(self, pcm: bytes | None) -> bytes:
        if pcm is not None:
            self._silent = 0
            return self._encoder.encode(pcm)
        if self._silent >= _TAIL:
            return SILENCE
        self._silent += 1
        return self._encoder.encode(bytes(FRAME_BYTES))
