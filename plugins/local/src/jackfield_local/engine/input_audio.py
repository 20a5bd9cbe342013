"""The input audio buffer: what the client has sent and nobody has dealt with, and the turns that are cut from it.

Positions are milliseconds of audio since the session began; they go on through commits and clears. Events and items
are made in `engine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from jackfield_local.engine.codec import Decoder, pcm_ms
from jackfield_local.engine.errors import ApiError
from jackfield_local.engine.shapes import MIN_COMMIT_MS
from jackfield_local.engine.vad import VoiceDetector

__all__ = ["InputAudio", "TurnEnded", "TurnStarted"]

_BYTES_PER_MS: Final = 48
_QUIET_KEPT_MS: Final = 30_000
"""Audio without speech that is kept while the server watches for turns; older silence is of use to nobody."""

_LONGEST_MS: Final = 15 * 60_000
"""Audio kept for a commit by the client; beyond that the oldest is dropped, so that memory is bounded."""


@frozen
class TurnStarted:
    """The user began to speak, at `audio_start_ms` (prefix padding included)."""

    audio_start_ms: int


@frozen
class TurnEnded:
    """The user's turn ended at `audio_end_ms`; `pcm` is the whole of it."""

    audio_end_ms: int
    pcm: bytes


class InputAudio:
    """One session's buffer. `settings` is the session's `audio.input` object."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._decoder = Decoder(settings["format"])
        self._pcm = bytearray()
        self._start_ms = 0.0
        self._turn_start_ms: int | None = None
        self._detector = self._new_detector()

    @property
    def heard_ms(self) -> int:
        """Milliseconds of audio received since the session began."""
        return int(self._start_ms + pcm_ms(len(self._pcm)))

    @property
    def speaking(self) -> bool:
        """Whether the user is in the middle of a turn."""
        return self._turn_start_ms is not None

    def configure(self, settings: Mapping[str, Any]) -> bool:
        """Go by new settings. Return whether a turn under way was given up because turn detection changed."""
        before, self._settings = self._settings, settings
        if settings["format"] != before["format"]:
            self._decoder = Decoder(settings["format"])
        if settings["turn_detection"] == before["turn_detection"]:
            return False
        interrupted = self.speaking
        self._turn_start_ms = None
        self._detector = self._new_detector()
        return interrupted

    def append(self, data: bytes) -> Iterator[TurnStarted | TurnEnded]:
        """Take `data` (in the session's input format), and yield what turn detection makes of it."""
        yield from self.append_pcm(self._decoder.feed(data))

    def append_pcm(self, pcm: bytes) -> Iterator[TurnStarted | TurnEnded]:
        """Take PCM16 mono at 24,000 Hz, and yield what turn detection makes of it."""
        self._pcm += pcm
        if self._detector is None:
            self._drop_until(self.heard_ms - _LONGEST_MS)
            return
        for edge in self._detector.feed(pcm):
            if edge.kind == "started":
                padding = self._settings["turn_detection"].get("prefix_padding_ms", 300)
                self._turn_start_ms = max(edge.at_ms - padding, int(self._start_ms), 0)
                yield TurnStarted(self._turn_start_ms)
            elif self._turn_start_ms is not None:
                self._drop_until(self._turn_start_ms)
                self._turn_start_ms = None
                yield TurnEnded(edge.at_ms, self._take_until(edge.at_ms))
        if self._turn_start_ms is None:
            self._drop_until(self.heard_ms - _QUIET_KEPT_MS)

    def commit(self) -> bytes:
        """Return what is buffered and empty the buffer; a turn under way ends unannounced.

        Raises `ApiError` where less than 100 ms is there.
        """
        if self._turn_start_ms is not None:
            self._drop_until(self._turn_start_ms)
        buffered_ms = pcm_ms(len(self._pcm))
        if buffered_ms < MIN_COMMIT_MS:
            raise ApiError(
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {MIN_COMMIT_MS}ms of audio, but buffer only has {buffered_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        return self.take()

    def clear(self) -> None:
        """Throw away what is buffered; a turn under way is forgotten."""
        self.take()

    def take(self, last_ms: int | None = None) -> bytes:
        """Return what is buffered (the last `last_ms` of it, where given) and empty the buffer, however little."""
        if last_ms is not None:
            self._drop_until(self.heard_ms - last_ms)
        self._turn_start_ms = None
        if self._detector is not None:
            self._detector.forget_speech()
        return self._take(len(self._pcm))

    def _new_detector(self) -> VoiceDetector | None:
        settings = self._settings["turn_detection"]
        return None if settings is None else VoiceDetector(settings, heard_ms=self.heard_ms)

    def _take_until(self, ms: int) -> bytes:
        return self._take(int((ms - self._start_ms) * _BYTES_PER_MS) & ~1)

    def _drop_until(self, ms: float) -> None:
        if ms > self._start_ms:
            self._take(int((ms - self._start_ms) * _BYTES_PER_MS) & ~1)

    def _take(self, nbytes: int) -> bytes:
        nbytes = min(max(nbytes, 0), len(self._pcm))
        taken = bytes(self._pcm[:nbytes])
        del self._pcm[:nbytes]
        self._start_ms += pcm_ms(nbytes)
        return taken
