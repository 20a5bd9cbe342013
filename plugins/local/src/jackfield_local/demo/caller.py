"""The caller: his lines as speech, in WAV files too, and the microphone that sends them in the midst of silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from jackfield.audio import write_wav

__all__ = ["CallerMicrophone", "spoken_line", "trimmed"]

_RATE = 24_000
_BYTES_PER_MS = 48
_FRAME_MS = 10
_QUIET = 20.0
"""Quieter than this (root mean square of 16-bit samples; -64 dBFS) isn't speech."""


def spoken_line(text: str, voice: str, speak: Callable[[str, str], bytes], path: Path) -> bytes:
    """Return `text` as PCM16 mono at 24,000 Hz, without silence around it, and keep it as a WAV file in `path`.

    `speak(text, voice)` makes the sound. Raises `OSError` where the file can't be written.
    """
    pcm = trimmed(speak(text, voice))
    write_wav(path, pcm, _RATE)
    return pcm


def trimmed(pcm: bytes) -> bytes:
    """Return `pcm` without the silence before and after the speech, so that its end is the end of the speech."""
    size = _FRAME_MS * _BYTES_PER_MS
    count = len(pcm) // size
    frames = np.frombuffer(pcm, dtype="<i2", count=count * size // 2).reshape(count, size // 2).astype(np.float32)
    loud = np.flatnonzero(np.sqrt(np.mean(frames * frames, axis=1)) > _QUIET)
    return pcm[int(loud[0]) * size : (int(loud[-1]) + 1) * size] if len(loud) else b""


class CallerMicrophone:
    """A microphone that never stops: speech where there is some, else silence. `heard` gets all of it, and when."""

    def __init__(self, heard: Callable[[bytes, float], None]) -> None:
        self._heard = heard
        self._speech = b""

    @property
    def remaining_ms(self) -> float:
        """How much of what is being said is still to be said."""
        return len(self._speech) / _BYTES_PER_MS

    def say(self, pcm: bytes) -> None:
        """Say `pcm` from now on."""
        self._speech += pcm

    def take(self, ms: float, now_ms: float) -> bytes:
        """Return the next `ms` milliseconds of audio."""
        size = round(ms * _BYTES_PER_MS) & ~1
        pcm, self._speech = self._speech[:size], self._speech[size:]
        pcm += bytes(size - len(pcm))
        self._heard(pcm, now_ms)
        return pcm
