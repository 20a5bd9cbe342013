"""G.711: mu-law and A-law to and from 16-bit PCM, by table.

The tables are built from the integer algorithm of ITU-T G.711, so all 65,536 samples are coded exactly as by other
implementations of it. Changing the sample rate is the business of `resample`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from jackfield.audio.numeric import require_numpy
from jackfield.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Law", "decode", "encode"]

Law: TypeAlias = Literal["ulaw", "alaw"]


def encode(pcm: bytes | bytearray | memoryview, law: Law) -> bytes:
    """Return 16-bit PCM as G.711, one byte a sample.

    Raises `ConfigurationError` for an odd number of bytes or an unknown law, and `MissingAudioDependencyError` without
    numpy.
    """
    np = require_numpy()
    if len(pcm) % 2:
        raise ConfigurationError(
            f"16-bit PCM has two bytes a sample, and {len(pcm)} bytes were given. "
            "Keep the last byte for the next chunk."
        )
    # The sample's bits, read as unsigned, are the index: no offset to add.
    encoded: bytes = _encode_table(law).take(np.frombuffer(pcm, "<u2")).tobytes()
    return encoded


def decode(data: bytes | bytearray | memoryview, law: Law) -> bytes:
    """Return G.711 as 16-bit PCM, two bytes a sample.

    Raises `ConfigurationError` for an unknown law, and `MissingAudioDependencyError` without numpy.
    """
    np = require_numpy()
    decoded: bytes = _decode_table(law).take(np.frombuffer(data, np.uint8)).tobytes()
    return decoded


@cache
def _encode_table(law: Law) -> NDArray[Any]:
    """Code of every 16-bit sample, at the index that its bits read as unsigned make."""
    np = require_numpy()
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    negative = samples < 0
    if _known(law) == "ulaw":
        # 14-bit input. The bias of 33 lets each of the eight segments be found by its highest bit.
        linear = samples >> 2
        magnitude = np.minimum(np.where(negative, -linear, linear), 8158) + 33
        segment = np.searchsorted(2 ** np.arange(6, 14), magnitude, side="right")
        code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
        return _table(code ^ np.where(negative, 0x7F, 0xFF), np.uint8)
    # 13-bit input, one's complement for negative values. The two lowest segments have the same step.
    linear = samples >> 3
    magnitude = np.where(negative, ~linear, linear)
    segment = np.searchsorted(2 ** np.arange(5, 12), magnitude, side="right")
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
    return _table(code ^ np.where(negative, 0x55, 0xD5), np.uint8)


@cache
def _decode_table(law: Law) -> NDArray[Any]:
    """Sample of every code: the middle of the interval that the code stands for."""
    np = require_numpy()
    codes = np.arange(256, dtype=np.int32)
    if _known(law) == "ulaw":
        codes ^= 0xFF
        segment = (codes >> 4) & 7
        magnitude = ((((codes & 15) << 3) + 132) << segment) - 132
        return _table(np.where(codes & 0x80, -magnitude, magnitude), "<i2")
    codes ^= 0x55
    segment = (codes >> 4) & 7
    magnitude = ((codes & 15) << 4) + 8 + np.where(segment > 0, 256, 0)
    magnitude <<= np.maximum(segment - 1, 0)
    return _table(np.where(codes & 0x80, magnitude, -magnitude), "<i2")


def _table(values: Any, dtype: Any) -> NDArray[Any]:
    """Return the values as a read-only table: it is shared by all who call."""
    table: NDArray[Any] = values.astype(dtype)
    table.flags.writeable = False
    return table


def _known(law: str) -> str:
    if law not in ("ulaw", "alaw"):
        raise ConfigurationError(f"{law!r} is not a G.711 law. Use 'ulaw' or 'alaw'.")
    return law
