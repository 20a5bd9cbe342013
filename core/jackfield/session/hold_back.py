"""Hold-back: audio waits until its words passed the guardrails, for a bounded time.

Models generate faster than they are heard, so behind the first word this costs next to nothing. A chunk of audio is let
go when the words that had come with it were found good, and at the latest after the delay. What belongs behind audio
in the stream (its end, the response's end) waits with it, so that the order is kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Set
from typing import Any

from attrs import frozen

from jackfield.audio.ledger import PlaybackLedger
from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.transport.events import Audio

from .events import RealtimeAudio, RealtimeAudioStart
from .output_guardrails import OutputGuardrails

__all__ = ["HoldBack", "ReleaseTracker"]


class ReleaseTracker(RealtimePlaybackTracker):
    """Reckons playback from when audio was let go, in real time: what is held back was not heard yet."""

    def __init__(self) -> None:
        super().__init__()
        self._ledger = PlaybackLedger(lambda: asyncio.get_running_loop().time())

    def released(self, audio: Audio) -> None:
        """Count a chunk that was let go."""
        self._ledger.received(audio.response_id, audio.item_id, audio.content_index, len(audio.data), audio.format)

    def played_ms(self, item_id: str, item_content_index: int) -> float:
        """Return how much of this content part was heard, in ms."""
        part = self._ledger.position(item_id, item_content_index)
        return 0.0 if part is None else part.played_ms

    def started_at(self, item_id: str, item_content_index: int) -> float | None:
        """Return when this content part began to be heard."""
        part = self._ledger.position(item_id, item_content_index)
        return None if part is None else part.started_at

    def on_cut(self, parts: Set[tuple[str, int]]) -> None:
        """What was let go of these content parts and not heard is gone."""
        audible = self._ledger.audible()
        self._ledger.cut([part for part in audible if (part.item_id, part.content_index) in parts])


@frozen
class _Held:
    event: Any
    size: int
    response_id: str
    item_id: str
    needed: int
    """How many characters of the item must have been found good."""
    deadline: float


class HoldBack:
    """What waits, in the order in which it came. `tell` lets an event go."""

    def __init__(
        self,
        guardrails: OutputGuardrails,
        delay: float,
        tell: Callable[[Any, int], None],
        tracker: ReleaseTracker | None,
    ) -> None:
        self._guardrails = guardrails
        self._delay = delay
        self._tell = tell
        self._tracker = tracker
        self._held: deque[_Held] = deque()
        self._timer: asyncio.TimerHandle | None = None
        guardrails.eager = True
        guardrails.on_passed = lambda _: self._let_go()
        guardrails.on_stopped = self.drop

    def tell(self, event: Any, response_id: str, item_id: str = "", size: int = 0) -> None:
        """Tell an event of a response's audio, or what comes behind it, when its time has come."""
        watched = self._guardrails.watches(response_id)
        if not watched and not self._held:
            self._release(event, size)
            return
        # Before the first word nobody knows what the audio says.
        needed = max(1, self._guardrails.length(response_id, item_id)) if watched and item_id else 0
        now = asyncio.get_running_loop().time()
        self._held.append(_Held(event, size, response_id, item_id, needed, now + self._delay))
        self._let_go()

    def close(self) -> None:
        """Stop waiting: audio is told no more, and what came behind it is told now."""
        held, self._held = self._held, deque()
        self._arm()
        for waiting in held:
            if not _is_audio(waiting.event):
                self._tell(waiting.event, waiting.size)

    def _let_go(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._held and (self._held[0].deadline <= now or self._passed(self._held[0])):
            held = self._held.popleft()
            self._release(held.event, held.size)
        self._arm()

    def _passed(self, held: _Held) -> bool:
        guardrails = self._guardrails
        if not guardrails.watches(held.response_id):
            return True
        return bool(held.item_id) and guardrails.judged(held.response_id, held.item_id) >= held.needed

    def drop(self, response_id: str) -> None:
        """A response was stopped: its audio that waits is never heard. What else waits keeps its turn."""
        self._held = deque(held for held in self._held if held.response_id != response_id or not _is_audio(held.event))

    def _release(self, event: Any, size: int) -> None:
        if self._tracker is not None and isinstance(event, RealtimeAudio):
            self._tracker.released(event.audio)
        self._tell(event, size)

    def _arm(self) -> None:
        """Keep one timer at the first deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held:
            self._timer = asyncio.get_running_loop().call_at(self._held[0].deadline, self._let_go)


def _is_audio(event: Any) -> bool:
    return isinstance(event, RealtimeAudio | RealtimeAudioStart)
