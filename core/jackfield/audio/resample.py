"""Sample rate conversion of 16-bit mono PCM with little delay: a streaming polyphase FIR filter.

The filter is a Kaiser-windowed sinc that reaches 16 samples of the slower rate to each side: flat up to 0.85 of the
slower side's Nyquist frequency, and down by more than 70 dB from 1.15 of it on. What lies between folds onto the
band above 0.85 and no further. Its group delay is therefore 16 samples of the slower rate: 2 ms where that is 8 kHz,
0.67 ms at 24 kHz.

The output doesn't depend on how the input was cut into chunks, to the bit: coefficients are integers, held as
float64 so that BLAS can be used, and every sum stays below 2**53, where float64 is exact in any order of addition.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from jackfield.audio.numeric import require_numpy
from jackfield.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Resampler", "resample"]

_REACH: Final = 16
"""Samples of the slower rate that the filter reaches to each side."""

_KAISER_BETA: Final = 7.5
"""About 77 dB of stop band attenuation, which makes the transition 0.3 of the Nyquist frequency wide at this reach."""

_UNITY: Final = float(2**30)
_RATES: Final = range(1_000, 768_001)

_BANK_SIZE: Final = 1 << 18
"""Rate pairs with more coefficients than that have them computed as they are needed, and not kept."""

_BLOCK_SAMPLES: Final = 1 << 18
"""Products computed at once: it bounds the memory that a long chunk takes."""


def resample(pcm: bytes | bytearray | memoryview, in_rate: int, out_rate: int) -> bytes:
    """Return a whole recording (16-bit mono PCM) at another rate; its duration stays, rounded to the nearest sample.

    Rates are in Hz. Raises as `Resampler` does.
    """
    resampler = Resampler(in_rate, out_rate)
    return resampler.process(pcm) + resampler.flush()


class Resampler:
    """Converts a stream of 16-bit mono PCM from one sample rate to another, chunk by chunk.

    Rates are integers in Hz, from 1000 to 768000, in any ratio. Raises `ConfigurationError` for other rates and
    `MissingAudioDependencyError` without numpy.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        for rate in (in_rate, out_rate):
            if rate not in _RATES:
                raise ConfigurationError(
                    f"{rate!r} is not a sample rate that can be converted. "
                    f"Use an integer number of Hz from {_RATES.start} to {_RATES.stop - 1}."
                )
        require_numpy()
        divisor = math.gcd(in_rate, out_rate)
        self.in_rate = in_rate
        self.out_rate = out_rate
        self._up = out_rate // divisor
        self._down = in_rate // divisor
        self._reach = _reach(self._up, self._down)
        self.reset()

    @property
    def delay_ms(self) -> float:
        """How far the output lags behind the input while streaming, in milliseconds; 0 where the rates are equal."""
        return 0.0 if self._up == self._down else self._reach * 1000 / self.in_rate

    def reset(self) -> None:
        """Forget the stream so far, and what it still holds; the next chunk starts a new one."""
        np = require_numpy()
        self._odd = b""
        self._received = 0
        self._sent = 0
        # Input samples still needed; the first one is sample number `_first` of the stream. Before it was silence.
        self._held: NDArray[Any] = np.zeros(self._reach)
        self._first = -self._reach

    def process(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Take the next bytes of the stream and return what can be said of its output; perhaps nothing.

        Half a sample at the end of a chunk waits for its other half.
        """
        np = require_numpy()
        data = self._odd + bytes(chunk)
        whole = len(data) & ~1
        self._odd = data[whole:]
        if self._up == self._down:
            return data[:whole]
        samples = np.frombuffer(data, "<i2", count=whole // 2)
        self._held = np.concatenate((self._held, samples))
        self._received += len(samples)
        # Output k stands at input position k * down / up, and needs `reach` samples behind that.
        return self._emit(-(-max(0, self._received - self._reach) * self._up // self._down))

    def flush(self) -> bytes:
        """End the stream: return the rest of it, and be ready for a new one.

        All that was returned for the stream then has `round(samples * out_rate / in_rate)` samples. Half a sample at
        its end is dropped.
        """
        np = require_numpy()
        rest = b""
        if self._up != self._down:
            self._held = np.concatenate((self._held, np.zeros(self._reach + self._down)))
            rest = self._emit(_round_ratio(self._received * self._up, self._down))
        self.reset()
        return rest

    def _emit(self, until: int) -> bytes:
        np = require_numpy()
        taps = 2 * self._reach
        block = max(1, _BLOCK_SAMPLES // taps)
        parts: list[bytes] = []
        while self._sent < until:
            end = min(until, self._sent + block)
            windows = np.lib.stride_tricks.sliding_window_view(self._held, taps)
            sums = self._sums(windows, end)
            parts.append(np.clip(np.rint(sums / _UNITY), -32768, 32767).astype("<i2").tobytes())
            self._sent = end
        needed = self._sent * self._down // self._up - self._reach + 1
        if needed > self._first:
            self._held = self._held[needed - self._first :]
            self._first = needed
        return b"".join(parts)

    def _sums(self, windows: NDArray[Any], end: int) -> Any:
        """Return the sums of the outputs from `_sent` to `end`; `windows` are those of the input that is held."""
        np = require_numpy()
        offset = 1 - self._reach - self._first
        if self._down == 1 and _fits_the_bank(self._up, 1):
            # The usual way up: each input gives all phases, which is one product of matrices.
            first, last = self._sent // self._up, -(-end // self._up)
            product = windows[first + offset : last + offset] @ _bank(self._up, 1).T
            return product.ravel()[self._sent - first * self._up : end - first * self._up]
        position = np.arange(self._sent, end) * self._down
        starts = position // self._up + offset
        return np.einsum("ij,ij->i", windows[starts], _coefficients(self._up, self._down, position % self._up))


def _reach(up: int, down: int) -> int:
    """Input samples that the filter reaches to each side."""
    return -(-_REACH * max(up, down) // up)


def _round_ratio(numerator: int, denominator: int) -> int:
    """`round(numerator / denominator)` for integers of any size."""
    quotient, remainder = divmod(numerator, denominator)
    return quotient + (2 * remainder + (quotient & 1) > denominator)


def _fits_the_bank(up: int, down: int) -> bool:
    """Whether a rate pair has few enough coefficients for all of them to be kept."""
    return 2 * _reach(up, down) * up <= _BANK_SIZE


def _coefficients(up: int, down: int, phases: NDArray[Any]) -> NDArray[Any]:
    if not _fits_the_bank(up, down):
        return _design(up, down, phases)
    coefficients: NDArray[Any] = _bank(up, down)[phases]
    return coefficients


@lru_cache(maxsize=32)
def _bank(up: int, down: int) -> NDArray[Any]:
    """All phases of one rate pair; shared by all streams that convert it."""
    return _design(up, down, require_numpy().arange(up))


def _design(up: int, down: int, phases: NDArray[Any]) -> NDArray[Any]:
    """Rows of integer coefficients, one for each output sample that stands `phase / up` after an input sample."""
    np = require_numpy()
    reach = _reach(up, down)
    bandwidth = min(1.0, up / down)
    distance = np.arange(1 - reach, reach + 1)[np.newaxis, :] - phases[:, np.newaxis] / up
    inside = np.clip(1 - (distance * bandwidth / _REACH) ** 2, 0, None)
    rows: NDArray[Any] = np.sinc(distance * bandwidth) * np.i0(_KAISER_BETA * np.sqrt(inside)) * (inside > 0)
    # Each phase passes a constant unchanged, exactly: otherwise they would differ, and a constant become a buzz.
    rows = np.rint(rows * (_UNITY / rows.sum(axis=1, keepdims=True)))
    peaks = np.abs(rows).argmax(axis=1)
    rows[np.arange(len(rows)), peaks] += _UNITY - rows.sum(axis=1)
    return rows
