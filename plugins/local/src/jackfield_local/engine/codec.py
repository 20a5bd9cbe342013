"""From the wire's audio formats to the engine's own (PCM16 mono, 24,000 Hz) and back, as streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jackfield.audio.g711 import Law, decode, encode
from jackfield.audio.resample import Resampler, resample

__all__ = ["Decoder", "Encoder", "decode_all", "encode_all", "pcm_ms"]

_RATE: Final = 24_000
_LAWS: Final[dict[str, Law]] = {"audio/pcmu": "ulaw", "audio/pcma": "alaw"}


def pcm_ms(nbytes: int) -> float:
    """Return how long `nbytes` bytes of the engine's own audio last, in milliseconds."""
    return nbytes / 48


def decode_all(wire_format: Mapping[str, Any], data: bytes) -> bytes:
    """Return a whole recording in `wire_format` as PCM16 mono at 24,000 Hz."""
    law = _LAWS.get(wire_format["type"])
    if law is None:
        return data[: len(data) & ~1]
    return resample(decode(data, law), 8_000, _RATE)


def encode_all(wire_format: Mapping[str, Any], pcm: bytes) -> bytes:
    """Return a whole recording of PCM16 mono at 24,000 Hz in `wire_format`."""
    law = _LAWS.get(wire_format["type"])
    return pcm if law is None else encode(resample(pcm, _RATE, 8_000), law)


class Decoder:
    """Turns a stream in a wire format into PCM16 mono at 24,000 Hz; an odd byte waits for its other half."""

    def __init__(self, wire_format: Mapping[str, Any]) -> None:
        self._law = _LAWS.get(wire_format["type"])
        self._resampler = Resampler(8_000, _RATE) if self._law else None
        self._half = b""

    def feed(self, data: bytes) -> bytes:
        """Return the PCM that `data` completes."""
        if self._law is not None and self._resampler is not None:
            return self._resampler.process(decode(data, self._law))
        if self._half:
            data = self._half + data
            self._half = b""
        if len(data) & 1:
            self._half = data[-1:]
            data = data[:-1]
        return data


class Encoder:
    """Turns a stream of PCM16 mono at 24,000 Hz into a wire format."""

    def __init__(self, wire_format: Mapping[str, Any]) -> None:
        self._law = _LAWS.get(wire_format["type"])
        self._resampler = Resampler(_RATE, 8_000) if self._law else None

    def feed(self, pcm: bytes) -> bytes:
        """Return the bytes that `pcm` completes."""
        if self._law is None or self._resampler is None:
            return pcm
        return encode(self._resampler.process(pcm), self._law)

    def flush(self) -> bytes:
        """Return what the filter still holds, at the end of the stream."""
        if self._law is None or self._resampler is None:
            return b""
        return encode(self._resampler.flush(), self._law)
