"""Sound that can be told from other sound after it went through a codec: it comes back alike, and not byte for byte."""

from __future__ import annotations

from typing import Final

import numpy as np

__all__ = ["SOUND", "duration_ms", "likeness", "pitch", "tone"]

_RATE: Final = 24_000


def tone(hertz: float, ms: int) -> bytes:
    """Return a tone as PCM16 mono at 24,000 Hz."""
    return _pcm(np.sin(2 * np.pi * hertz * np.arange(_RATE * ms // 1000) / _RATE))


def likeness(heard: bytes, said: bytes) -> float:
    """Return how alike they are where they fit best, from 0 to 1 for the same; what is missing or more counts."""
    one, other = _samples(heard), _samples(said)
    size = len(one) + len(other)
    across = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)))
    return float(np.max(across) / np.sqrt(max(np.dot(one, one) * np.dot(other, other), 1.0)))


def duration_ms(pcm: bytes) -> float:
    """Return how long it lasts."""
    return len(pcm) / 48


def pitch(pcm: bytes) -> float:
    """Return the loudest frequency, in hertz."""
    spectrum = np.abs(np.fft.rfft(_samples(pcm) * np.hanning(len(pcm) // 2)))
    return float(np.argmax(spectrum) * _RATE / (len(pcm) // 2))


def _pcm(wave: np.ndarray) -> bytes:
    return (wave * 8000).astype("<i2").tobytes()


def _samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm[: len(pcm) & ~1], "<i2").astype(float)


def _sweep(start: float, end: float, ms: int) -> bytes:
    hertz = np.linspace(start, end, _RATE * ms // 1000)
    return _pcm(np.sin(2 * np.pi * np.cumsum(hertz) / _RATE))


SOUND: Final = _sweep(300, 2000, 1000)
"""A second that is like itself at no other place."""
