"""How an answer is handed out: a message's text in sentences, its audio in deltas, both interleaved, at a pace.

Nothing here waits or sends; `session` does both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import define, frozen

__all__ = ["Pace", "Piece", "pieces", "sentences", "words"]

CHUNK_BYTES: Final = 4_800
"""One audio delta: 100 ms of PCM16 at 24,000 Hz."""

FIRST_CHUNK_BYTES: Final = 1_920
"""The first delta is smaller, 40 ms, so that it gets there sooner."""

_LEAD: Final = 3
"""Words by which the transcript is ahead of the audio."""

# The last two are the full-width marks of Chinese and Japanese.
_SENTENCE: Final = re.compile(r".*?[.!?…。\uff01\uff1f]+[\"')\]]*(?:\s+|$)|.+$", re.DOTALL)
_WORD: Final = re.compile(r"\s*\S+(?:\s+$)?|\s+$")


@frozen
class Piece:
    """What is sent in one go: a part of the transcript, then a part of the audio; either may be empty."""

    text: str
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long the audio plays."""
        return len(self.pcm) / 48_000


def sentences(text: str) -> list[str]:
    """Cut `text` into sentences, which together are `text` again."""
    return [match.group() for match in _SENTENCE.finditer(text)]


def words(text: str) -> list[str]:
    """Cut `text` into words with the white space before them, which together are `text` again."""
    return _WORD.findall(text)


def pieces(text: str, pcm: bytes, *, first: bool) -> Iterator[Piece]:
    """Cut one sentence and its audio into pieces; `first`: nothing of the message was sent yet."""
    step = FIRST_CHUNK_BYTES if first else CHUNK_BYTES
    cuts = [0, *range(step, len(pcm), CHUNK_BYTES), len(pcm)] if pcm else []
    count = max(1, len(cuts) - 1)
    transcript = words(text)
    told = 0
    for index in range(count):
        upto = len(transcript) if index == count - 1 else len(transcript) * (index + 1) // count + _LEAD
        yield Piece("".join(transcript[told:upto]), pcm[cuts[index] : cuts[index + 1]] if cuts else b"")
        told = max(told, upto)


@define
class Pace:
    """When the next audio is due, at `speed` times realtime; 0 is as fast as possible. Times are in seconds."""

    speed: float
    _due: float | None = None

    def wait(self, now: float, seconds: float) -> float:
        """Return how long to wait at `now`, before what follows audio of `seconds` seconds is sent."""
        if self.speed <= 0:
            return 0.0
        # What a slow machine lost is not caught up on in one burst.
        self._due = max(self._due if self._due is not None else now, now - 0.5) + seconds / self.speed
        return max(0.0, self._due - now)
