"""The application's side of the playback ledger: where it says what it has played.

An audio callback may call it from a thread of its own.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Set
from typing import Any

from attrs import frozen

from jackfield.errors import ConfigurationError

from .formats import PCM16, AudioFormat

__all__ = ["RealtimePlaybackState", "RealtimePlaybackTracker"]

_REMEMBERED_PARTS = 64


@frozen
class RealtimePlaybackState:
    """What is being played: an item's content part and how much of it was heard, in ms. All None when idle."""

    current_item_id: str | None = None
    current_item_content_index: int | None = None
    elapsed_ms: float | None = None


class RealtimePlaybackTracker:
    """Report what was played, so that an interruption cuts the conversation where the user stopped hearing it.

    Give one to the session or to `connect(playback_tracker=...)`, and call `on_play_bytes` or `on_play_ms` for each
    stretch of audio when it leaves the loudspeaker (or when the carrier confirms it).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._format = PCM16
        self._current: tuple[str, int] | None = None
        self._played: dict[tuple[str, int], float] = {}
        self._started: dict[tuple[str, int], float] = {}

    def on_play_bytes(self, item_id: str, item_content_index: int, bytes: bytes) -> None:  # noqa: A002
        """Tell that these bytes, in the session's output format, were played."""
        self.on_play_ms(item_id, item_content_index, self._format.duration_ms(len(bytes)))

    def on_play_ms(self, item_id: str, item_content_index: int, ms: float) -> None:
        """Tell that `ms` more milliseconds of this content part were played."""
        if not 0 <= ms < math.inf:
            raise ConfigurationError(f"ms={ms!r} can't have been played: give milliseconds, from 0 up")
        key = (item_id, item_content_index)
        with self._lock:
            played = self._played.pop(key, 0.0) + ms
            self._played[key] = played  # the newest is last
            self._current = key
            if key not in self._started:
                self._started[key] = time.monotonic() - ms / 1000
            while len(self._played) > _REMEMBERED_PARTS:
                oldest = next(iter(self._played))
                del self._played[oldest]
                self._started.pop(oldest, None)

    def on_interrupted(self) -> None:
        """Tell that playback stopped and what was queued is gone. The transport calls this itself as well."""
        with self._lock:
            self._current = None

    def on_cut(self, parts: Set[tuple[str, int]]) -> None:
        """Tell which content parts (item id, content index) were cut. What is played of others plays on."""
        if self._current is None or self._current in parts:
            self.on_interrupted()

    def set_audio_format(self, format: AudioFormat | str | Any) -> None:  # noqa: A002
        """Set what `on_play_bytes` counts in. The transport calls it when the session's output format is known."""
        self._format = AudioFormat.parse(format)

    def get_state(self) -> RealtimePlaybackState:
        """Return what is being played now."""
        with self._lock:
            if self._current is None:
                return RealtimePlaybackState()
            return RealtimePlaybackState(*self._current, self._played[self._current])

    def played_ms(self, item_id: str, item_content_index: int) -> float:
        """Return how much of this content part was reported as played, in ms."""
        with self._lock:
            return self._played.get((item_id, item_content_index), 0.0)

    def started_at(self, item_id: str, item_content_index: int) -> float | None:
        """Return when this content part began to be played, in s of `time.monotonic`; None before its first report."""
        with self._lock:
            return self._started.get((item_id, item_content_index))

    @property
    def last_reported(self) -> tuple[str, int] | None:
        """The content part that was reported last, also after an interruption; None before the first report."""
        with self._lock:
            return next(reversed(self._played), None)
