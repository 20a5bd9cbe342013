"""The input audio buffer: what the client has sent and nobody has dealt with, and the turns that are cut from it.

Positions are milliseconds of audio since the session began; they go on through commits and clears. Events and items
are made in `engine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from jackfield_local.engine.codec import Decoder, Encoder
from jackfield_local.engine.errors import ApiError
from jackfield_local.engine.media import PCM, Media
from jackfield_local.engine.shapes import MIN_COMMIT_MS
from jackfield_local.engine.vad import VoiceDetector

__all__ = ["InputAudio", "TurnEnded", "TurnStarted"]

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
    """The user's turn ended at `audio_end_ms`; `audio` is the whole of it, as the buffer keeps it."""

    audio_end_ms: int
    audio: bytes


class InputAudio:
    """One session's buffer. `settings` is the session's `audio.input` object, `media` how audio is kept."""

    def __init__(self, settings: Mapping[str, Any], media: Media = PCM) -> None:
        self._settings = settings
        self._media = media
        self._decoder = Decoder(settings["format"])
        self._encoder = Encoder(media.wire_format)
        self._audio = bytearray()
        self._start_ms = 0.0
        self._turn_start_ms: int | None = None
        self._detector = self._new_detector()

    @property
    def heard_ms(self) -> int:
        """Milliseconds of audio received since the session began."""
        return int(self._start_ms + self._media.ms(len(self._audio)))

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
        if self._settings["format"]["type"] != self._media.wire_format["type"]:
            data = self._encoder.feed(self._decoder.feed(data))
        elif self._media is PCM:
            data = self._decoder.feed(data)
        yield from self.append_media(data)

    def append_media(self, audio: bytes) -> Iterator[TurnStarted | TurnEnded]:
        """Take audio of the media path, and yield what turn detection makes of it."""
        self._audio += audio
        if self._detector is None:
            self._drop_until(self.heard_ms - _LONGEST_MS)
            return
        for edge in self._detector.feed(audio):
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
        buffered_ms = self._media.ms(len(self._audio))
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
        return self._take(len(self._audio))

    def _new_detector(self) -> VoiceDetector | None:
        settings = self._settings["turn_detection"]
        return None if settings is None else VoiceDetector(settings, self.heard_ms, self._media)

    def _take_until(self, ms: int) -> bytes:
        return self._take(self._media.nbytes(ms - self._start_ms))

    def _drop_until(self, ms: float) -> None:
        if ms > self._start_ms:
            self._take(self._media.nbytes(ms - self._start_ms))

    def _take(self, nbytes: int) -> bytes:
        nbytes = min(max(nbytes, 0), len(self._audio))
        taken = bytes(self._audio[:nbytes])
        del self._audio[:nbytes]
        self._start_ms += self._media.ms(nbytes)
        return taken
