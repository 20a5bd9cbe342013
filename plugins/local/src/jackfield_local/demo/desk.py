"""The other phone, to which the agent puts the caller through: somebody who answers with a sentence."""

from __future__ import annotations

from typing import Final

from jackfield.audio import Resampler
from jackfield_local.demo.carrier import Ear
from jackfield_local.demo.handset import RATE, Mouthpiece
from jackfield_local.demo.script import DESK
from jackfield_local.sip.caller import FRAME_BYTES

__all__ = ["DeskHandset", "SomebodyThere"]

_PAUSE_FRAMES: Final = 25
"""Half a second, after which somebody who has picked up speaks."""


class SomebodyThere:
    """Who answers: says `pcm` (PCM16 mono at 24,000 Hz) once."""

    def __init__(self, pcm: bytes) -> None:
        resampler = Resampler(24_000, RATE)
        self._words = bytes(_PAUSE_FRAMES * FRAME_BYTES) + resampler.process(pcm) + resampler.flush()
        self.said_ms = len(pcm) / 48
        """How long that takes."""

    @property
    def has_spoken(self) -> bool:
        """Whether all is said."""
        return not self._words

    def speak(self) -> bytes | None:
        """See `Voice.speak`."""
        frame, self._words = self._words[:FRAME_BYTES], self._words[FRAME_BYTES:]
        return frame.ljust(FRAME_BYTES, b"\0") if frame else None

    def hear(self, pcm: bytes) -> None:
        """See `Voice.hear`: who calls is not understood."""


class DeskHandset:
    """The caller's call there: what `somebody` says goes to `ear`."""

    def __init__(self, ear: Ear, mouthpiece: Mouthpiece, somebody: SomebodyThere) -> None:
        self._ear = ear
        self._mouthpiece = mouthpiece
        self._somebody = somebody
        self._resampler = Resampler(RATE, 24_000)
        self._begun = self._over = False

    def speak(self) -> bytes | None:
        """See `Voice.speak`."""
        return self._mouthpiece.next_frame()

    def hear(self, pcm: bytes) -> None:
        """See `Voice.hear`. What is heard lasts from the first sound to the silence after the last."""
        words = self._resampler.process(pcm)
        silent = not any(pcm)
        self._begun = self._begun or not silent
        if not self._begun or self._over:
            return
        if silent and self._somebody.has_spoken:
            self._over = True
            self._ear.hear_end(DESK, 0)
        else:
            self._ear.hear(words, DESK, 0)
