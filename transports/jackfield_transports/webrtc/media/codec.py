"""Opus by libopus (through PyAV): 20 ms of PCM16 mono at 24,000 Hz to a packet, and any Opus packet back.

The encoder is Opus in its restricted low-delay mode (RFC 6716, section 2.1.9; libopus: CELT only). At the same bit
rate that costs a third of the default, holds audio back 2.5 ms instead of 6.5, and is the truer one for speech at
24,000 Hz. No executor is needed: a frame takes some 60 microseconds to encode and 25 to decode.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av

__all__ = ["FRAME_BYTES", "FRAME_MS", "RATE", "SILENCE", "OpusDecoder", "OpusEncoder"]

RATE: Final = 24_000
"""Samples a second of all PCM on this side of the codec."""
FRAME_MS: Final = 20
FRAME_BYTES: Final = RATE * 2 * FRAME_MS // 1000
"""One frame: 20 ms of PCM16 mono at 24,000 Hz."""

SILENCE: Final = b"\xd8\xff\xfe"
"""A packet that says 20 ms of silence: superwideband CELT, mono, one frame. Nothing needs to be encoded for it."""

_DECODED_RATE: Final = 48_000
"""FFmpeg has libopus decode at that rate only."""
_LOOKAHEAD: Final = 32
"""Samples, 0.7 ms, that FFmpeg's resampler reaches ahead when it halves that rate. It costs a sixth of what that of
`jackfield.audio` does, which is the same to the bit however a stream is cut: packets are always cut alike."""
_SAMPLES: Final = FRAME_BYTES // 2
_TIME_BASE: Final = Fraction(1, RATE)


class OpusEncoder:
    """One stream's encoder. `bit_rate` is in bits a second."""

    def __init__(self, bit_rate: int = 48_000) -> None:
        self._codec = av.AudioCodecContext.create("libopus", "w")
        self._codec.sample_rate = RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._codec.bit_rate = bit_rate
        self._codec.time_base = _TIME_BASE
        # Some loss is to be expected: it makes frames lean less on the ones before them.
        self._codec.options = {"application": "lowdelay", "compression_level": "5", "packet_loss": "5"}
        self._pts = 0

    def encode(self, pcm: bytes) -> bytes:
        """Return the packet for one frame: `FRAME_BYTES` of PCM16 mono at 24,000 Hz."""
        frame = av.AudioFrame(format="s16", layout="mono", samples=_SAMPLES)
        frame.planes[0].update(pcm)
        frame.sample_rate = RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._pts
        self._pts += _SAMPLES
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))


class OpusDecoder:
    """One stream's decoder. What it returns has `rate` samples a second."""

    def __init__(self, rate: int = _DECODED_RATE) -> None:
        self._codec = av.AudioCodecContext.create("libopus", "r")
        self._codec.sample_rate = _DECODED_RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._resampler = None if rate == _DECODED_RATE else _primed_resampler(rate)

    def decode(self, packet: bytes) -> bytes:
        """Return the PCM16 mono of one packet. Raises `ValueError` for what is no Opus packet."""
        try:
            frames = self._codec.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise ValueError(f"no Opus packet: {error}") from error
        if self._resampler is not None:
            frames = [resampled for frame in frames for resampled in self._resampler.resample(frame)]
        return b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)


def _primed_resampler(rate: int) -> av.AudioResampler:
    """Return a resampler that gives as much as it takes from the start: what it looks ahead is silence."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    silence = av.AudioFrame(format="s16", layout="mono", samples=_LOOKAHEAD)
    silence.planes[0].update(bytes(silence.planes[0].buffer_size))
    silence.sample_rate = _DECODED_RATE
    resampler.resample(silence)
    return resampler
