"""The audio of a session's media path as the engine keeps it: the parts' own PCM, or G.711 just as it came.

A phone's G.711 is neither decoded nor resampled on its way through: its loudness is read from a table, and only a whole
turn becomes PCM, when somebody listens to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen

from jackfield.audio.g711 import Law, decode
from jackfield_local.engine.codec import decode_all, encode_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FRAME_MS", "PCM", "Media", "media_of"]

FRAME_MS: Final = 20
_LAWS: Final[dict[str, Law]] = {"audio/pcmu": "ulaw", "audio/pcma": "alaw"}


@frozen
class Media:
    """A format of audio. `wire_format` is the API's name of it."""

    wire_format: Mapping[str, Any]
    bytes_per_ms: int
    sample_bytes: int
    silence: bytes
    """One frame of it."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame: 20 ms."""
        return FRAME_MS * self.bytes_per_ms

    def ms(self, nbytes: int) -> float:
        """Return how long `nbytes` bytes last, in milliseconds."""
        return nbytes / self.bytes_per_ms

    def nbytes(self, ms: float) -> int:
        """Return how many bytes `ms` milliseconds have: whole samples."""
        nbytes = int(ms * self.bytes_per_ms)
        return nbytes - nbytes % self.sample_bytes

    def levels(self, frames: bytes) -> list[float]:
        """Return how loud each of some whole frames is: the root mean square of its 16-bit samples."""
        law = _LAWS.get(self.wire_format["type"])
        if law is None:
            samples = np.frombuffer(frames, dtype="<i2").astype(np.float32)
            squares = samples * samples
        else:
            squares = _squares(law).take(np.frombuffer(frames, dtype=np.uint8))
        levels: list[float] = np.sqrt(squares.reshape(-1, self.frame_bytes // self.sample_bytes).mean(axis=1)).tolist()
        return levels

    def to_pcm(self, data: bytes) -> bytes:
        """Return a whole recording as PCM16 mono at 24,000 Hz."""
        return decode_all(self.wire_format, data)

    def to_wire(self, wire_format: Mapping[str, Any], data: bytes) -> bytes:
        """Return a whole recording in another wire format."""
        if wire_format["type"] == self.wire_format["type"]:
            return data
        return encode_all(wire_format, self.to_pcm(data))


PCM: Final = Media({"type": "audio/pcm", "rate": 24000}, 48, 2, bytes(960))
_G711: Final = {
    "audio/pcmu": Media({"type": "audio/pcmu"}, 8, 1, b"\xff" * 160),
    "audio/pcma": Media({"type": "audio/pcma"}, 8, 1, b"\xd5" * 160),
}


def media_of(audio_format: str | None) -> Media:
    """Return the format that the API calls so ("audio/pcmu", for example); PCM16 at 24,000 Hz for None."""
    return PCM if audio_format is None else _G711.get(audio_format, PCM)


@cache
def _squares(law: Law) -> NDArray[Any]:
    """The square of each code's sample."""
    samples = np.frombuffer(decode(bytes(range(256)), law), dtype="<i2").astype(np.float32)
    squares: NDArray[Any] = samples * samples
    squares.flags.writeable = False
    return squares
