"""The caller: his lines as speech, kept as WAV files, and the microphone that sends them in the midst of silence."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jackfield.audio import WavError, read_wav, write_wav

__all__ = ["CallerMicrophone", "cache_directory", "spoken_line", "trimmed"]

_RATE = 24_000
_BYTES_PER_MS = 48
_FRAME_MS = 10
_QUIET = 120.0
"""Quieter than this (root mean square of 16-bit samples; -49 dBFS) isn't speech."""


def cache_directory() -> Path:
    """Return where lines that were spoken once are kept: XDG_CACHE_HOME, or what the system has for it."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "jackfield" / "demo"
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "jackfield" / "demo"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "jackfield" / "demo"
    return home / ".cache" / "jackfield" / "demo"


def spoken_line(text: str, voice: str, speak: Callable[[str, str], bytes], directory: Path) -> bytes:
    """Return `text` as PCM16 mono at 24,000 Hz, without silence around it.

    It is read from a WAV file in `directory`; where there is none, `speak(text, voice)` makes the sound, and the file
    is written for the next time. Raises `OSError` where that can't be done.
    """
    name = hashlib.sha256(f"1\n{voice}\n{text}".encode()).hexdigest()[:16]
    path = directory / f"{name}.wav"
    try:
        pcm, rate, channels = read_wav(path)
        if (rate, channels) == (_RATE, 1) and pcm:
            return pcm
    except (FileNotFoundError, WavError):
        pass  # not there yet, or broken: made anew below
    pcm = trimmed(speak(text, voice))
    directory.mkdir(parents=True, exist_ok=True)
    # Another run may be at it too: whoever is last replaces a whole file by a whole file.
    draft = directory / f"{name}.{os.getpid()}.part"
    write_wav(draft, pcm, _RATE)
    draft.replace(path)
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
