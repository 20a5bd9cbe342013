"""Voice activity detection on audio time: the same audio gives the same turns, however fast it arrives.

Speech is what is louder than a level set by `threshold`, and clearly louder than the noise that went before. Times are
milliseconds of audio since the session began. Which audio makes a user's turn is decided in `input_audio`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from attrs import define, field, frozen

from jackfield_local.engine.media import FRAME_MS, PCM, Media

__all__ = ["SpeechEdge", "VoiceDetector"]

_ONSET_FRAMES: Final = 3
"""Loud frames in a row that make speech: 60 ms, which clicks don't last."""

_NOISE_RATIO: Final = 3.0
"""How much louder than the noise speech must be: about 10 dB."""

_NOISE_RISE: Final = 1.007
"""By how much the noise estimate may grow in a frame: 3 dB a second, so that a constant noise is got used to."""

_QUIETEST: Final = 10.0
_SEMANTIC_WAITS: Final[dict[str, tuple[int, int]]] = {
    "low": (700, 8_000),
    "medium": (400, 4_000),
    "auto": (400, 4_000),
    "high": (250, 2_000),
}
"""By eagerness: milliseconds of silence after an utterance that sounds finished, and the longest wait of all."""

_ENDING_FRAMES: Final = 5
_HESITATION_MS: Final = 300
"""Less speech than that is taken for a hesitation: the rest is waited for."""


@frozen
class SpeechEdge:
    """Speech began or ended at `at_ms`; noticed when `heard_ms` of the session's audio had been heard."""

    kind: Literal["started", "stopped"]
    at_ms: int
    heard_ms: int


@define
class VoiceDetector:
    """Finds where speech begins and ends; `settings` is the session's `turn_detection` object, `media` what it hears.

    `started` edges are at the onset, before prefix padding; `stopped` edges at the end of the silence that ended it.
    """

    settings: Mapping[str, Any]
    heard_ms: int = 0
    media: Media = PCM
    speaking: bool = field(default=False, init=False)
    _noise: float = field(default=_QUIETEST, init=False)
    _loud_run: int = field(default=0, init=False)
    _voiced_frames: int = field(default=0, init=False)
    _voiced_total: float = field(default=0.0, init=False)
    _ending: deque[float] = field(factory=lambda: deque(maxlen=_ENDING_FRAMES), init=False)
    _last_voice_ms: int = field(default=0, init=False)
    _rest: bytes = field(default=b"", init=False)

    def feed(self, audio: bytes) -> Iterator[SpeechEdge]:
        """Listen to `audio`, and yield the edges in it."""
        data = self._rest + audio if self._rest else audio
        whole = len(data) - len(data) % self.media.frame_bytes
        self._rest = data[whole:]
        if not whole:
            return
        for level in self.media.levels(data[:whole]):
            edge = self._hear(level)
            if edge is not None:
                yield edge

    def forget_speech(self) -> None:
        """Take the speech under way as dealt with: what follows starts anew, with no `stopped` edge."""
        self.speaking = False
        self._loud_run = 0
        self._voiced_frames = 0
        self._voiced_total = 0.0
        self._ending.clear()

    def _hear(self, level: float) -> SpeechEdge | None:
        self.heard_ms += FRAME_MS
        loud = level > max(self._level(), self._noise * _NOISE_RATIO)
        self._noise = max(_QUIETEST, min(level, self._noise * _NOISE_RISE))
        if loud:
            self._loud_run += 1
            self._last_voice_ms = self.heard_ms
            self._voiced_frames += 1
            self._voiced_total += level
            self._ending.append(level)
            if not self.speaking and self._loud_run >= _ONSET_FRAMES:
                self.speaking = True
                return SpeechEdge("started", self.heard_ms - self._loud_run * FRAME_MS, self.heard_ms)
            return None
        if not self.speaking:
            self.forget_speech()
            return None
        self._loud_run = 0
        if self.heard_ms - self._last_voice_ms < self._patience_ms():
            return None
        self.forget_speech()
        return SpeechEdge("stopped", self.heard_ms, self.heard_ms)

    def _level(self) -> float:
        # 0 is -70 dBFS, 1 is -10 dBFS; the default of 0.5 is -40 dBFS, which speech at arm's length passes easily.
        threshold = self.settings.get("threshold", 0.5)
        return float(32768 * 10 ** ((60 * threshold - 70) / 20))

    def _patience_ms(self) -> int:
        """Milliseconds of silence that end the turn, judged by how the speech so far sounded."""
        if self.settings["type"] == "server_vad":
            return int(self.settings["silence_duration_ms"])
        finished, longest = _SEMANTIC_WAITS[self.settings["eagerness"]]
        if self._voiced_frames * FRAME_MS < _HESITATION_MS:
            return longest
        # A voice falls at the end of a sentence and stays up where there is more to come.
        ending = sum(self._ending) / len(self._ending)
        return finished if ending < 0.7 * self._voiced_total / self._voiced_frames else longest // 4
