"""The tones of a telephone's keys, as audio: two frequencies each (ITU-T Q.23)."""

from __future__ import annotations

from typing import Final

from jackfield.audio.numeric import require_numpy
from jackfield.errors import ConfigurationError

__all__ = ["dtmf_tones"]

_LOW: Final = (697, 770, 852, 941)
_HIGH: Final = (1209, 1336, 1477, 1633)
_KEYS: Final = ("123A", "456B", "789C", "*0#D")
_RATE: Final = 24_000
_LEVEL: Final = 6_000
"""Peak of each of the two tones, of 32,767."""


def dtmf_tones(digits: str, *, tone_ms: int = 100, pause_ms: int = 100) -> bytes:
    """Return `digits` as PCM16 mono at 24,000 Hz: each a tone of `tone_ms`, and `pause_ms` of silence behind it.

    Raises `ConfigurationError` for what is on no keypad: it has 0-9, *, # and A-D.
    """
    np = require_numpy()
    time = np.arange(_RATE * tone_ms // 1000) / _RATE
    silence = bytes(_RATE * pause_ms // 1000 * 2)
    tones = []
    for digit in digits.upper():
        row = next((index for index, keys in enumerate(_KEYS) if digit in keys), None)
        if row is None:
            raise ConfigurationError(f"{digit!r} is on no keypad: use 0-9, *, # and A-D")
        frequencies = (_LOW[row], _HIGH[_KEYS[row].index(digit)])
        wave = sum(_LEVEL * np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
        tones += [wave.astype("<i2").tobytes(), silence]
    return b"".join(tones)
