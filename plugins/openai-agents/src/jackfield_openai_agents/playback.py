"""The SDK's playback tracker, read as one of jackfield's.

The SDK's tracker knows the part that is played now and nothing of those before it, and is asked rather than told.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Final

import agents.realtime
from agents.exceptions import UserError

from jackfield.audio import AudioFormat, RealtimePlaybackState, RealtimePlaybackTracker

__all__ = ["SdkPlayback", "playback_of"]

_SDK_NAMES: Final = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


def playback_of(tracker: object) -> RealtimePlaybackTracker | None:
    """Return what a transport takes for the tracker of a model config: the SDK's, jackfield's, or none."""
    if tracker is None or isinstance(tracker, RealtimePlaybackTracker):
        return tracker
    if isinstance(tracker, agents.realtime.RealtimePlaybackTracker):
        return SdkPlayback(tracker)
    raise UserError(f"the playback_tracker is a {type(tracker).__name__}: give a RealtimePlaybackTracker")


class SdkPlayback(RealtimePlaybackTracker):
    """What the SDK's `tracker` says, as the playback ledger asks for it."""

    def __init__(self, tracker: agents.realtime.RealtimePlaybackTracker) -> None:
        super().__init__()
        self._tracker = tracker
        self._seen: tuple[str, int] | None = None
        self._seen_ms = 0.0

    def get_state(self) -> RealtimePlaybackState:
        """Return what is being played now."""
        self._look()
        return super().get_state()

    def played_ms(self, item_id: str, item_content_index: int) -> float:
        """Return how much of this content part was reported as played, in ms."""
        self._look()
        return super().played_ms(item_id, item_content_index)

    def started_at(self, item_id: str, item_content_index: int) -> float | None:
        """Return None: the SDK's tracker doesn't say when."""
        return None

    @property
    def last_reported(self) -> tuple[str, int] | None:
        """The content part that was reported last."""
        self._look()
        return super().last_reported

    def on_cut(self, parts: Set[tuple[str, int]]) -> None:
        """Tell the SDK's tracker, too, where what is played now was cut."""
        self._look()
        super().on_cut(parts)

    def on_interrupted(self) -> None:
        """Tell the SDK's tracker, too, that playback stopped."""
        super().on_interrupted()
        self._tracker.on_interrupted()

    def set_audio_format(self, format: AudioFormat | str | Any) -> None:  # noqa: A002 - as in the class above
        """Set what both trackers count bytes in."""
        parsed = AudioFormat.parse(format)
        super().set_audio_format(parsed)
        self._tracker.set_audio_format(_SDK_NAMES[parsed.type])

    def _look(self) -> None:
        state = self._tracker.get_state()
        item_id, index, elapsed = (
            state["current_item_id"],
            state["current_item_content_index"],
            state["elapsed_ms"],
        )
        if item_id is None or elapsed is None:
            return
        part = (item_id, index or 0)
        if part != self._seen:
            self._seen, self._seen_ms = part, 0.0
        super().on_play_ms(*part, max(0.0, elapsed - self._seen_ms))
        self._seen_ms = elapsed
