"""Metrics: the milestones of each turn, as they are reached, and the turns of late.

A turn's metrics are told when it was heard to its end, or was cut; at the latest when the next one begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from attrs import define, field

from jackfield.audio.ledger import PartPlayback
from jackfield.bounded import remember
from jackfield.transport.events import SpeechStopped, TurnDone

from .events import RealtimeEventInfo, RealtimeTurnMetrics
from .turn_metrics import TurnMetrics

__all__ = ["Metrics", "SessionMetrics"]

_REMEMBERED_TURNS = 32
_LOOK_AGAIN_MS = 20.0
"""How soon it is looked again whether a turn was heard to its end."""


@define(eq=False)
class SessionMetrics:
    """What a session has measured of itself."""

    turns: list[TurnMetrics] = field(factory=list)
    """The latest turns, the newest last. The newest may still be filling in."""
    responses: int = 0
    """How many responses began."""
    interruptions: int = 0
    """How many of them were cut."""


@define(eq=False)
class _Open:
    metrics: TurnMetrics
    part: tuple[str, int] | None = None
    """The content part whose audio came first."""
    last_part: tuple[str, int] | None = None
    timer: asyncio.TimerHandle | None = None


class Metrics:
    """Measures one session."""

    def __init__(
        self,
        info: RealtimeEventInfo,
        tell: Callable[[Any], None],
        playback: Callable[[str, int], PartPlayback | None],
    ) -> None:
        self.session = SessionMetrics()
        self._info = info
        self._tell = tell
        self._playback = playback
        self._open: dict[str, _Open] = {}
        self._speech_stopped_at: float | None = None

    def speech_stopped(self, _: SpeechStopped) -> None:
        """The user stopped speaking."""
        self._speech_stopped_at = _now()

    def started(self, response_id: str, agent: str) -> None:
        """A response began."""
        for earlier in list(self._open.values()):
            if earlier.metrics.done_at is not None:
                self._finish(earlier)
        metrics = TurnMetrics(
            response_id=response_id, agent=agent, speech_stopped_at=self._speech_stopped_at, created_at=_now()
        )
        self._speech_stopped_at = None
        remember(self._open, response_id, _Open(metrics), _REMEMBERED_TURNS)
        self.session.turns.append(metrics)
        del self.session.turns[:-_REMEMBERED_TURNS]
        self.session.responses += 1

    def delta(self, response_id: str) -> None:
        """A word or some audio of a response arrived. Only the first is of interest."""
        turn = self._open.get(response_id)
        if turn is not None and turn.metrics.first_delta_at is None:
            turn.metrics.first_delta_at = _now()

    def audio_part(self, response_id: str, item_id: str, content_index: int) -> None:
        """The audio of another content part begins."""
        turn = self._open.get(response_id)
        if turn is not None:
            turn.last_part = (item_id, content_index)
            turn.part = turn.part or turn.last_part

    def delivered(self, response_id: str) -> None:
        """The application took the first audio of a response."""
        turn = self._open.get(response_id)
        if turn is not None and turn.metrics.first_audio_delivered_at is None:
            turn.metrics.first_audio_delivered_at = _now()

    def interrupted(self, response_id: str) -> None:
        """A response was cut."""
        turn = self._open.get(response_id)
        if turn is None:
            return
        if turn.metrics.interrupted_at is None:
            turn.metrics.interrupted_at = _now()
            self.session.interruptions += 1
        if turn.metrics.done_at is not None:
            self._finish(turn)

    def done(self, event: TurnDone) -> None:
        """A response ended. Its audio may have to be heard yet."""
        turn = self._open.get(event.response_id)
        if turn is None:
            return
        turn.metrics.done_at = _now()
        turn.metrics.status = event.status
        self._finish_when_heard(turn)

    def close(self) -> None:
        """Tell what is still open."""
        for turn in list(self._open.values()):
            self._finish(turn)

    def _finish_when_heard(self, turn: _Open) -> None:
        left = 0.0 if turn.metrics.interrupted_at is not None else self._left(turn)
        if left:  # a tracker may be behind the clock: it is asked again
            turn.timer = asyncio.get_running_loop().call_later(left, self._finish_when_heard, turn)
        else:
            self._finish(turn)

    def _left(self, turn: _Open) -> float:
        """Return how many seconds of the turn's audio are still to be heard, as far as is known."""
        part = None if turn.last_part is None else self._playback(*turn.last_part)
        if part is None or not part.audible or part.received_ms == float("inf"):
            return 0.0
        return max(_LOOK_AGAIN_MS, part.received_ms - part.played_ms) / 1000

    def _finish(self, turn: _Open) -> None:
        if turn.timer is not None:
            turn.timer.cancel()
        if self._open.pop(turn.metrics.response_id, None) is None:
            return
        part = None if turn.part is None else self._playback(*turn.part)
        if part is not None:
            turn.metrics.first_audio_played_at = part.started_at
        self._tell(RealtimeTurnMetrics(turn.metrics, self._info))


def _now() -> float:
    return asyncio.get_running_loop().time()
