"""What is said on a call and how it is heard: words over noise, and the time of each word at the mouth and at the ear.

A word is 300 ms of a loud tone, with 300 ms or so until the next one, and it is heard where any of it is. Between words
there is noise, coloured like speech and quiet as a room is: both ends encode and decode all the time, as they do in a
conversation, and nobody gains by having digital silence for less. Times are `time.monotonic_ns`, which is one clock for
all processes.
"""

from __future__ import annotations

import functools
import random
import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

CHUNK_MS: Final = 20
_WORD_CHUNKS: Final = 15
_PAUSE_CHUNKS: Final = (13, 17)
"""Between two words, at least and at most: irregular, so that no word is taken for the one before it."""
_TONE_HZ: Final = 1000
"""A whole number of periods in a chunk."""
_TONE_PEAK: Final = 16_384
"""-6 dBFS."""
_LOUD_PEAK: Final = 8_192
"""What is louder is a word."""
_NOISE_RMS: Final = 328
"""-40 dBFS."""
_NOISE_SECONDS: Final = 2
_NOISE_TOP_HZ: Final = 8_000
_PEAKS_HZ: Final = 12_000
"""So many samples a second an ear looks at: enough for the tone, and little enough not to be what is measured."""
_PAUSE_HEARD: Final = 4
"""So many quiet chunks end a word: less than a pause has, as some of that may be lost, too. Where a word falls apart,
the first of its pieces counts."""
_LATEST_NS: Final = 450_000_000
"""Whatever is heard later after a word belongs to another one."""


class Mouth:
    """Says words of its own rhythm, at `rate` samples a second; an idle one says nothing, and tells no sound at all."""

    def __init__(self, seed: int, rate: int, *, idle: bool = False) -> None:
        self.idle = idle
        self.said: list[int] = []
        """When each word's first chunk was handed over."""
        self._chance = random.Random(seed)
        self._quiet, self._loud = _sounds(rate)
        self._place = self._chance.randrange(len(self._quiet))
        self._pause = self._chance.randint(0, _PAUSE_CHUNKS[1])
        self._word = 0

    def chunk(self) -> bytes | None:
        """Hand over the next chunk of PCM16 mono; None for silence."""
        if self.idle:
            return None
        self._place = (self._place + 1) % len(self._quiet)
        if self._pause:
            self._pause -= 1
            return self._quiet[self._place]
        if not self._word:
            self.said.append(time.monotonic_ns())
        self._word += 1
        if self._word == _WORD_CHUNKS:
            self._word, self._pause = 0, self._chance.randint(*_PAUSE_CHUNKS)
        return self._loud[self._place]


class Ear:
    """Notes when words begin in what it is given: PCM16, with so many interleaved samples a second."""

    def __init__(self, samples_per_second: int) -> None:
        self.heard: list[int] = []
        """When each word's first sound was handed out."""
        self._step = samples_per_second // _PEAKS_HZ
        self._quiet = _PAUSE_HEARD

    def hear(self, pcm: Any) -> None:
        """Take any buffer of PCM16."""
        if np.frombuffer(pcm, np.int16)[:: self._step].max() < _LOUD_PEAK:
            self._quiet += 1
            return
        if self._quiet >= _PAUSE_HEARD:
            self.heard.append(time.monotonic_ns())
        self._quiet = 0


def delays(said: Sequence[int], heard: Sequence[int]) -> dict[int, int]:
    """Return how long each word that was heard took from the mouth to the ear, in ns, by the time it was said."""
    found: dict[int, int] = {}
    for at in heard:
        word = bisect_right(said, at) - 1
        if word >= 0 and at - said[word] <= _LATEST_NS:
            found.setdefault(said[word], at - said[word])
    return found


@functools.cache
def _sounds(rate: int) -> tuple[list[bytes], list[bytes]]:
    """Return two seconds of noise in chunks, without and with the tone: the same sound at every rate."""
    noise_maker = np.random.default_rng(4711)
    samples = _NOISE_SECONDS * rate
    frequencies = np.arange(1, _NOISE_SECONDS * _NOISE_TOP_HZ) / _NOISE_SECONDS
    # Speech falls off by some 6 dB an octave above its first formants.
    weights = 1 / np.maximum(frequencies, 500)
    spectrum = np.zeros(samples // 2 + 1, complex)
    spectrum[1 : len(frequencies) + 1] = weights * np.exp(2j * np.pi * noise_maker.random(len(frequencies)))
    noise = np.fft.irfft(spectrum, samples)
    noise *= _NOISE_RMS / noise.std()
    tone = _TONE_PEAK * np.sin(2 * np.pi * _TONE_HZ * np.arange(samples) / rate)
    size = rate * CHUNK_MS // 1000
    quiet, loud = noise.astype("<i2"), (noise + tone).astype("<i2")
    return (
        [quiet[start : start + size].tobytes() for start in range(0, samples, size)],
        [loud[start : start + size].tobytes() for start in range(0, samples, size)],
    )
