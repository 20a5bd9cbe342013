"""Audio formats of the Realtime API: their names, and the arithmetic of bytes, samples and milliseconds.

Pure Python and cheap to import. Nothing here touches a sample: conversion is in `g711` and `resample`.
All audio is mono. 16-bit PCM is signed and little-endian.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from jackfield.errors import ConfigurationError

__all__ = ["PCM16", "PCMA", "PCMU", "AudioFormat", "AudioFormatType", "UnknownAudioFormatError"]

AudioFormatType: TypeAlias = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]

_TYPES: Final[dict[str, AudioFormatType]] = {
    "audio/pcm": "audio/pcm",
    "pcm": "audio/pcm",
    "pcm16": "audio/pcm",
    "audio/pcmu": "audio/pcmu",
    "pcmu": "audio/pcmu",
    "g711_ulaw": "audio/pcmu",
    "audio/pcma": "audio/pcma",
    "pcma": "audio/pcma",
    "g711_alaw": "audio/pcma",
}
_DEFAULT_RATES: Final[dict[AudioFormatType, int]] = {"audio/pcm": 24000, "audio/pcmu": 8000, "audio/pcma": 8000}
_SAMPLE_BYTES: Final[dict[AudioFormatType, int]] = {"audio/pcm": 2, "audio/pcmu": 1, "audio/pcma": 1}
_SILENCE: Final[dict[AudioFormatType, bytes]] = {
    "audio/pcm": b"\x00\x00",
    "audio/pcmu": b"\xff",
    "audio/pcma": b"\xd5",
}
_MAX_RATE: Final = 768_000


class UnknownAudioFormatError(ConfigurationError):
    """The value doesn't name an audio format that the Realtime API has; the message lists those it has."""


def _check_type(_instance: object, _attribute: object, value: str) -> None:
    if value not in _SAMPLE_BYTES:
        raise UnknownAudioFormatError(_unknown(value))


def _check_rate(instance: AudioFormat, _attribute: object, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_RATE:
        raise UnknownAudioFormatError(
            f"Sample rate {value!r} is not an integer number of Hz from 1 to {_MAX_RATE}. "
            "Pass the rate as an integer, 24000 for example."
        )
    if instance.type != "audio/pcm" and value != 8000:
        raise UnknownAudioFormatError(
            f"{instance.type} is G.711, whose sample rate is 8000 Hz, not {value}. "
            "Leave the rate out, or use audio/pcm for other rates."
        )


@frozen
class AudioFormat:
    """How the bytes of an audio stream are to be read: `type` is the API's name, `rate` the sample rate in Hz.

    Raises `UnknownAudioFormatError` for a type that the API doesn't have, and for G.711 at any rate but 8000 Hz.
    """

    type: AudioFormatType = field(validator=_check_type)
    rate: int = field(validator=_check_rate)

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample: 2 for PCM, 1 for G.711."""
        return _SAMPLE_BYTES[self.type]

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second of audio."""
        return self.rate * self.bytes_per_sample

    @property
    def bytes_per_ms(self) -> float:
        """Bytes of one millisecond: 48.0 for PCM at 24 kHz, 8.0 for G.711, and a fraction at rates such as 22050 Hz."""
        return self.bytes_per_second / 1000

    def duration_ms(self, nbytes: int) -> float:
        """Return how long `nbytes` bytes play, in milliseconds."""
        return nbytes * 1000 / self.bytes_per_second

    def bytes_for_ms(self, ms: float) -> int:
        """Return the number of bytes that hold `ms` milliseconds, rounded down to whole samples."""
        # The small term keeps bytes_for_ms(duration_ms(n)) == n where the division above was rounded downwards.
        return math.floor(ms * self.rate / 1000 + 1e-6) * self.bytes_per_sample

    def silence(self, ms: float) -> bytes:
        """Return `ms` milliseconds of silence; for no or negative time, no bytes."""
        return _SILENCE[self.type] * (max(0, self.bytes_for_ms(ms)) // self.bytes_per_sample)

    def to_wire(self) -> dict[str, Any]:
        """Return the format as the GA Realtime API spells it. Only PCM carries a rate there."""
        if self.type == "audio/pcm":
            return {"type": self.type, "rate": self.rate}
        return {"type": self.type}

    @classmethod
    def parse(cls, value: object) -> AudioFormat:
        """Return the format that `value` describes.

        Accepts an `AudioFormat`; the API's names (`audio/pcm`, `audio/pcmu`, `audio/pcma`) and their older and shorter
        forms (`pcm16`, `pcm`, `g711_ulaw`, `g711_alaw`, `pcmu`, `pcma`) in any case; a mapping with `type` and perhaps
        `rate`; any object with such attributes. A missing rate is the type's own: 24000 Hz for PCM, 8000 Hz for G.711.
        Raises `UnknownAudioFormatError` for anything else.
        """
        if isinstance(value, AudioFormat):
            return value
        if isinstance(value, Mapping):
            name, rate = value.get("type"), value.get("rate")
        elif isinstance(value, str):
            name, rate = value, None
        else:
            name, rate = getattr(value, "type", None), getattr(value, "rate", None)
        kind = _TYPES.get(name.strip().lower()) if isinstance(name, str) else None
        if kind is None:
            raise UnknownAudioFormatError(_unknown(value))
        return cls(kind, _DEFAULT_RATES[kind] if rate is None else rate)

    def __str__(self) -> str:
        return f"{self.type} at {self.rate} Hz"


def _unknown(value: object) -> str:
    return (
        f"{value!r} is not an audio format of the Realtime API. "
        f"Use one of {', '.join(sorted(_TYPES))}, or a mapping such as {PCM16.to_wire()!r}."
    )


PCM16: Final = AudioFormat("audio/pcm", 24000)
"""16-bit PCM at 24 kHz, the API's default: 48 bytes a millisecond."""

PCMU: Final = AudioFormat("audio/pcmu", 8000)
"""G.711 mu-law at 8 kHz: 8 bytes a millisecond."""

PCMA: Final = AudioFormat("audio/pcma", 8000)
"""G.711 A-law at 8 kHz: 8 bytes a millisecond."""
