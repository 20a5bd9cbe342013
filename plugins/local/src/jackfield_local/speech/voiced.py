"""Is there a voice in this sound? A cheap look before the costly listening.

A voice has pitch (frames that repeat themselves at 60 to 400 Hz) and moves: its sound changes several times a second.
Noise and clicks have no pitch, hums and tones don't move. What was said is not looked at here.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["speech_span"]

_FRAME_MS: Final = 30
_HOP_MS: Final = 10
_QUIET: Final = 60.0
"""RMS below which a frame is silence whatever else is in the recording (of 32,768)."""

_REPEATS: Final = 0.55
"""Normalised autocorrelation from which a frame counts as pitched."""

_PITCHED_FRAMES: Final = 5
"""A voice must show at least so many pitched frames in a row: 50 ms."""

_BANDS: Final = 24
_BACKGROUND: Final = 1e-3

_STEADY: Final = 0.96
"""Median likeness of spectra from which on a sound is a tone or a hum."""


def speech_span(pcm: bytes, rate: int) -> tuple[int, int] | None:
    """Return where speech begins and ends in `pcm` (PCM16 mono at `rate` Hz), in samples; None where there is none."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float64)
    size, hop = rate * _FRAME_MS // 1000, rate * _HOP_MS // 1000
    if len(samples) < size:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    frames = frames - frames.mean(axis=1, keepdims=True)
    level = np.sqrt((frames**2).mean(axis=1))
    floor = max(_QUIET, 0.03 * float(level.max()), 2.0 * float(np.percentile(level, 10)) if _dynamic(level) else 0.0)
    loud = level > floor
    if not loud.any():
        return None
    # The difference of neighbouring samples is the usual pre-emphasis: it takes rumble and drift out.
    spectra = np.abs(np.fft.rfft(np.diff(frames, axis=1) * np.hanning(size - 1), 2 * size)) ** 2
    pitched = loud & (_repetition(spectra, size, rate) > _REPEATS)
    if _longest_run(pitched) < _PITCHED_FRAMES or _likeness(spectra[loud]) > _STEADY:
        return None
    where = np.flatnonzero(loud)
    return int(where[0]) * hop, min(len(samples), int(where[-1]) * hop + size)


def _longest_run(marks: NDArray[Any]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marks.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _dynamic(level: NDArray[Any]) -> bool:
    """Tell whether quiet and loud are far enough apart for the quiet to be a background."""
    return bool(np.percentile(level, 10) * 4 < level.max())


def _repetition(spectra: NDArray[Any], size: int, rate: int) -> NDArray[Any]:
    """Return, for each frame, the highest autocorrelation at the lags of a voice's pitch."""
    correlation = np.fft.irfft(spectra, axis=1)[:, :size]
    # A frame shows less of itself at a longer lag; the window makes that worse. Divide both out.
    window = np.correlate(np.hanning(size), np.hanning(size), "full")[size - 1 :]
    lags = slice(rate // 400, min(rate // 60, size * 2 // 3))
    scaled = correlation[:, lags] / (window[lags] / window[0])
    peak: NDArray[Any] = scaled.max(axis=1) / np.maximum(correlation[:, 0], 1e-9)
    return peak


def _likeness(spectra: NDArray[Any]) -> float:
    """Return how like its average a sound's spectrum stays (median correlation): 1.0 where it stands still."""
    edges = np.unique(np.geomspace(4, spectra.shape[1] - 1, _BANDS + 1).astype(int))
    bands = np.add.reduceat(spectra, edges[:-1], axis=1)
    # What lies far below the loudest band is background, and would only blur the comparison.
    shapes = np.log(np.maximum(bands / bands.max(axis=1, keepdims=True), _BACKGROUND))
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    mean = shapes.mean(axis=0)
    norms = np.linalg.norm(shapes, axis=1) * np.linalg.norm(mean)
    return float(np.median(shapes @ mean / np.maximum(norms, 1e-9)))
