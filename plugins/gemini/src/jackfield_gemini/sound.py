"""The user's audio on its way out: whatever the session speaks, to PCM16 at 16,000 Hz, as frames."""

from __future__ import annotations

from typing import Final

import pybase64

from jackfield.audio import AudioFormat, Resampler, g711

__all__ = ["PROVIDER_RATE", "InputAudio"]

PROVIDER_RATE: Final = 16_000
"""The sample rate that the provider hears at."""

_HEAD = b'{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":"'
_TAIL = b'"}}}'


class InputAudio:
    """One stream of audio. What the filter still holds at the end of a turn goes out with `end`."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self._law: g711.Law | None = {"audio/pcmu": "ulaw", "audio/pcma": "alaw"}.get(audio_format.type)  # type: ignore[assignment]
        self._resampler = Resampler(audio_format.rate, PROVIDER_RATE)
        self.sent_ms = 0.0
        """How much audio there was so far."""

    def frames(self, chunk: bytes) -> tuple[bytes, ...]:
        """Return a chunk as frames; perhaps none yet."""
        self.sent_ms += self.format.duration_ms(len(chunk))
        pcm = chunk if self._law is None else g711.decode(chunk, self._law)
        return _framed(self._resampler.process(pcm))

    def end(self) -> tuple[bytes, ...]:
        """Return the rest of the stream, which begins anew."""
        return _framed(self._resampler.flush())


def _framed(pcm: bytes) -> tuple[bytes, ...]:
    return (b"".join((_HEAD, pybase64.b64encode(pcm), _TAIL)),) if pcm else ()
