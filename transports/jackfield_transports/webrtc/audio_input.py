"""Audio that comes from a `MediaStreamTrack` of the application, or from a `MediaPlayer`: a file, a device.

The track stays the application's: it is read, and never stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Protocol, TypeAlias, runtime_checkable

import av
from aiortc import MediaStreamError, MediaStreamTrack

from jackfield.audio import PCM16
from jackfield.transport import ConfigurationError

from .media import RATE
from .microphone import Microphone

__all__ = ["AudioInput", "TrackReader", "track_of"]

logger = logging.getLogger("jackfield.webrtc")


@runtime_checkable
class HasAudio(Protocol):
    """Something with an audio track, such as aiortc's `MediaPlayer`."""

    @property
    def audio(self) -> Any:
        """The track; None where there is none."""


AudioInput: TypeAlias = MediaStreamTrack | HasAudio


def track_of(source: AudioInput) -> MediaStreamTrack:
    """Return the audio track of `source`. Raises `ConfigurationError` where it has none."""
    track = source if isinstance(source, MediaStreamTrack) else getattr(source, "audio", None)
    if not isinstance(track, MediaStreamTrack) or track.kind != "audio":
        raise ConfigurationError(
            f"audio_input is {type(source).__name__}, which has no audio track: give a MediaStreamTrack of kind audio, "
            "or a MediaPlayer whose file or device has sound"
        )
    return track


class TrackReader:
    """Reads a track into a microphone, at the pace of whichever is slower."""

    def __init__(self, source: AudioInput, microphone: Microphone) -> None:
        self._track = track_of(source)
        self._microphone = microphone
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read."""
        self._reading = asyncio.get_running_loop().create_task(self._read(), name="jackfield webrtc track reader")

    async def stop(self) -> None:
        """Read no longer. The track is left as it is."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _read(self) -> None:
        with contextlib.suppress(MediaStreamError, ConnectionError):
            while True:
                received = await self._track.recv()
                if not isinstance(received, av.AudioFrame):
                    logger.error("audio_input gives encoded packets: give a track of decoded frames (decode=True)")
                    return
                for frame in self._resampler.resample(received):
                    await self._microphone.write(bytes(frame.planes[0])[: frame.samples * 2], PCM16)
