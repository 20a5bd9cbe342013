"""The milestones of one turn: when each was reached, and how long the user waited for it."""

from __future__ import annotations

from attrs import define

__all__ = ["TurnMetrics"]


@define(kw_only=True)
class TurnMetrics:
    """One response, from the end of the user's speech to the end of the answer.

    All times are seconds of the event loop's clock (`loop.time()`, which is `time.monotonic()`), None where that has
    not happened. The record is filled in as things happen.
    """

    response_id: str
    agent: str = ""
    status: str = "in_progress"
    """in_progress, and then completed, cancelled, failed or incomplete, as the response was."""

    speech_stopped_at: float | None = None
    """The user stopped speaking. None where the turn didn't begin with speech."""
    created_at: float | None = None
    """The response began."""
    first_delta_at: float | None = None
    """The first word or the first audio of it arrived."""
    first_audio_delivered_at: float | None = None
    """The application took the first audio, by iterating or by listening."""
    first_audio_played_at: float | None = None
    """The user heard the first audio: as the playback tracker says, or else as reckoned from the clock."""
    interrupted_at: float | None = None
    """It was cut."""
    done_at: float | None = None
    """The response ended. Its audio may still have been playing."""

    @property
    def time_to_first_delta(self) -> float | None:
        """Seconds from the end of speech (or else the response's beginning) to the first delta."""
        return self._since_asked(self.first_delta_at)

    @property
    def time_to_first_audio(self) -> float | None:
        """Seconds from the end of speech (or else the response's beginning) to the first audio that was heard.

        Where nobody knows what was heard, to the first that was delivered.
        """
        heard = self.first_audio_played_at
        return self._since_asked(self.first_audio_delivered_at if heard is None else heard)

    @property
    def duration(self) -> float | None:
        """Seconds from the response's beginning to its end."""
        return None if self.done_at is None or self.created_at is None else self.done_at - self.created_at

    def _since_asked(self, reached: float | None) -> float | None:
        asked = self.created_at if self.speech_stopped_at is None else self.speech_stopped_at
        return None if reached is None or asked is None else max(0.0, reached - asked)
