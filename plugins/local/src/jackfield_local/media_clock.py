"""The time of a call's incoming audio: where no audio comes, silence is heard.

A client that sends nothing (a muted one with some clients, one without a microphone, a path that hangs) is a silent
one to turn detection, which goes by the time of the audio that it is given.
"""

from __future__ import annotations

from typing import Final

from attrs import define

__all__ = ["FRAME_SECONDS", "SILENCE", "Gaps"]

FRAME_SECONDS: Final = 0.02
SILENCE: Final = bytes(960)
"""One frame of it: 20 ms of PCM16 mono at 24,000 Hz."""

_PATIENCE_SECONDS: Final = 0.1
"""Audio may be that late, and is waited for."""

_MOST_FRAMES: Final = 50
"""Made up for at once; where a whole second and more was missed, it was this machine that stood still."""


@define
class Gaps:
    """Says how much silence is to be put in. `since` is when the audio began; times are in seconds, and go forward."""

    since: float
    _filling: bool = False

    def heard(self, now: float) -> None:
        """Take note that audio came."""
        self.since = now
        self._filling = False

    def missing(self, now: float) -> int:
        """Return how many frames of silence are due at `now`; they are taken to be put in."""
        # A little is added, so that a clock that is a hair early doesn't put a frame off to its next tick.
        silent = now - self.since + 1e-6
        if not self._filling and silent < _PATIENCE_SECONDS:
            return 0
        frames = int(silent / FRAME_SECONDS)
        if frames:
            self._filling = True
            self.since = now if frames > _MOST_FRAMES else self.since + frames * FRAME_SECONDS
        return min(frames, _MOST_FRAMES)
