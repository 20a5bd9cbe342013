"""Something to hear where a packet is missing: the last pitch period again, fading out.

A waveform substitution in the manner of G.711's appendix I. PyAV doesn't hand out libopus' own concealment, and
without any a lost packet is a click and takes its 20 ms out of the audio's time.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from .codec import RATE

__all__ = ["Concealer"]

_HISTORY: Final = RATE * 45 // 1000
_SHORTEST: Final = RATE // 400
"""Samples of one period of a high voice, 400 Hz."""
_LONGEST: Final = RATE // 66
"""And of a low one."""
_OVERLAP: Final = RATE * 5 // 1000
_FADED_OUT: Final = RATE * 60 // 1000
"""After so many samples nothing is invented any more: what is missing is silence."""


class Concealer:
    """Follows one stream of PCM16 mono at 24,000 Hz, and invents what is missing of it."""

    def __init__(self) -> None:
        self._history = np.zeros(_HISTORY, np.float32)
        self._period: Any = None
        self._invented = 0

    def hear(self, pcm: bytes) -> bytes:
        """Take what did come; return it, joined smoothly to what was invented before it."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        if self._invented and len(samples):
            count = min(_OVERLAP, len(samples))
            rise = np.linspace(0, 1, count, dtype=np.float32)
            samples[:count] = samples[:count] * rise + self._invent(count) * (1 - rise)
            pcm = _pcm(samples)
            self._invented = 0
        self._remember(samples)
        return pcm

    def conceal(self, count: int) -> bytes:
        """Return `count` samples in the place of those that are missing."""
        samples = self._invent(count)
        self._remember(samples)
        return _pcm(samples)

    def _invent(self, count: int) -> Any:
        if not self._invented:
            self._period = self._last_period()
        positions = np.arange(self._invented, self._invented + count)
        gain = np.clip(1 - positions / _FADED_OUT, 0, 1).astype(np.float32)
        self._invented += count
        return self._period[positions % len(self._period)] * gain

    def _last_period(self) -> Any:
        """Return the last pitch period: as long as the shift at which the history is most like itself."""
        past = self._history
        window = past[-_LONGEST:]
        candidates = np.lib.stride_tricks.sliding_window_view(past[:-_SHORTEST], _LONGEST)
        energy = np.sqrt(np.einsum("ij,ij->i", candidates, candidates)) + 1.0
        best = int(np.argmax(candidates @ window / energy))
        period = len(past) - _LONGEST - best
        return past[-period:].copy()

    def _remember(self, samples: Any) -> None:
        self._history = np.concatenate([self._history, samples])[-_HISTORY:]


def _pcm(samples: Any) -> bytes:
    return bytes(np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes())
