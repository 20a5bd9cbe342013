"""The playback ledger: of each content part, what was received, what was heard, and what was cut.

Truncation, `played_ms`, the heard transcript and latency figures are derived from it, and nobody else does that
arithmetic. With a tracker it believes what the application reports. Without one it takes playback to run in real
time, part after part in the order in which they arrived, pausing where the audio ran dry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field, frozen

from jackfield.bounded import remember

from .formats import PCM16, AudioFormat
from .tracker import RealtimePlaybackTracker

__all__ = ["PartPlayback", "PlaybackLedger"]

_REMEMBERED_PARTS = 64
_OPEN_PARTS = 256
"""Parts that may be unfinished at a time: beyond it the oldest is taken for over, for its end was lost."""
_SAME_MS = 0.5
"""Two positions closer than this are the same: half a millisecond is below what truncation can express."""


@frozen
class PartPlayback:
    """How far one content part has come. Milliseconds of audio."""

    response_id: str
    item_id: str
    content_index: int
    received_ms: float
    played_ms: float
    generated: bool
    """Whether its last chunk has arrived."""
    started_at: float | None = None
    """When it began to be heard, in s of `time.monotonic`'s clock; None where it has not, or nobody knows."""

    @property
    def audible(self) -> bool:
        """Whether there is something to interrupt: audio still to be played, or still to come."""
        return not self.generated or self.played_ms + _SAME_MS < self.received_ms

    @property
    def audio_end_ms(self) -> int:
        """Where to truncate: what was heard, in whole ms, never beyond what was received."""
        # The small term undoes what binary fractions take away: 0.3 s are 300 ms and not 299.
        return max(0, int(min(self.played_ms, self.received_ms) + 1e-6))


@define
class _Part:
    response_id: str
    item_id: str
    content_index: int
    format: AudioFormat
    byte_rate: int
    received_bytes: int = 0
    generated: bool = False
    settled_ms: float | None = None
    """Set once it is known for good how much was heard."""
    stretches: list[tuple[float, float]] = field(factory=list)
    """When it plays, by the clock: (start in s, length in ms), one stretch unless the audio ran dry."""
    started_at: float | None = None

    @property
    def received_ms(self) -> float:
        if not self.received_bytes or self.at_far_end:  # only what was heard is known
            return max((length for _, length in self.stretches), default=self.settled_ms or 0.0)
        return self.format.duration_ms(self.received_bytes)

    @property
    def at_far_end(self) -> bool:
        """Whether the far end is playing it, and hasn't said where it ends."""
        return bool(self.stretches) and self.stretches[-1][1] == float("inf")

    def played_by(self, now: float) -> float:
        played = sum(min(max((now - start) * 1000, 0.0), length) for start, length in self.stretches)
        if self.at_far_end and self.received_bytes:  # what it played, and what came of that
            return min(played, self.format.duration_ms(self.received_bytes))
        return played


class PlaybackLedger:
    """The ledger of one connection. `clock` returns seconds that never go back; nothing else is read from outside."""

    def __init__(self, clock: Callable[[], float], tracker: RealtimePlaybackTracker | None = None) -> None:
        self._clock = clock
        self._tracker = tracker
        self._parts: dict[tuple[str, int], _Part] = {}
        self._settled: dict[tuple[str, int], PartPlayback] = {}
        self._queue_ends = 0.0
        """When, by the clock, all that was received will have been played."""
        self._last: _Part | None = None
        self._queue_tail: _Part | None = None
        """The part whose last stretch ends the queue."""

    @property
    def reported(self) -> bool:
        """Whether positions are those that the application reports, rather than reckoned from the clock."""
        return self._tracker is not None

    def received(
        self,
        response_id: str,
        item_id: str,
        content_index: int,
        size: int,
        format: AudioFormat = PCM16,  # noqa: A002
        now: float | None = None,
    ) -> None:
        """Count `size` bytes of audio that arrived for a content part; `now` saves a look at the clock."""
        part = self._last
        if part is None or part.item_id != item_id or part.content_index != content_index:
            part = self._part(response_id, item_id, content_index, format)
            self._last = part
        part.received_bytes += size
        if self._tracker is not None or part.settled_ms is not None or part.at_far_end:
            return
        if now is None:
            now = self._clock()
        length = size * 1000 / part.byte_rate
        if self._queue_tail is part and self._queue_ends >= now:
            start, known = part.stretches[-1]
            part.stretches[-1] = (start, known + length)
            self._queue_ends += length / 1000
            return
        start = max(now, self._queue_ends)
        part.stretches.append((start, length))
        if part.started_at is None:
            part.started_at = start
        self._queue_ends = start + length / 1000
        self._queue_tail = part

    def done(self, item_id: str, content_index: int) -> None:
        """Note that a content part is complete."""
        part = self._parts.get((item_id, content_index))
        if part is not None:
            part.generated = True

    def response_done(self, response_id: str) -> None:
        """Note that nothing more comes for a response."""
        for part in self._parts.values():
            if part.response_id == response_id:
                part.generated = True

    def position(self, item_id: str, content_index: int) -> PartPlayback | None:
        """Return how far a content part has come; None where it is unknown, or forgotten."""
        key = (item_id, content_index)
        part = self._parts.get(key)
        return self._settled.get(key) if part is None else self._state(part)

    def audible(self, response_id: str | None = None) -> list[PartPlayback]:
        """Return the parts, in order, that have something to interrupt; of one response, or of all."""
        states = (self._state(part) for part in self._parts.values() if part.settled_ms is None)
        return [
            state for state in states if state.audible and (response_id is None or state.response_id == response_id)
        ]

    def cut(self, parts: Iterable[PartPlayback]) -> None:
        """Settle `parts` at where they were interrupted. What was queued behind them plays on from now."""
        now = self._clock()
        cut: set[tuple[str, int]] = set()
        self._queue_tail = None
        for state in parts:
            cut.add((state.item_id, state.content_index))
            part = self._parts.get((state.item_id, state.content_index))
            if part is not None:
                part.settled_ms = min(state.played_ms, state.received_ms)
                part.started_at = state.started_at
                part.stretches.clear()
        self._queue_ends = now
        for part in self._parts.values():
            played = part.played_by(now)
            left = sum(length for _, length in part.stretches) - played
            if left > 0:
                part.stretches = [(now - played / 1000, played), (self._queue_ends, left)]
                if not played:
                    part.started_at = self._queue_ends
                self._queue_ends += left / 1000
        if self._tracker is not None and cut:
            self._tracker.on_cut(cut)

    def playing(self, response_id: str, item_id: str, content_index: int) -> None:
        """Note that the far end began to play a part (server-side playback); it ends with `stopped`."""
        part = self._part(response_id, item_id, content_index, PCM16)
        part.started_at = self._clock()
        part.stretches = [(part.started_at, float("inf"))]

    def stopped(self, item_id: str, content_index: int) -> bool:
        """Settle a part that the far end no longer plays, at the time that passed since it began.

        Return False where it wasn't playing, or was settled before.
        """
        part = self._parts.get((item_id, content_index))
        if part is None or part.settled_ms is not None or not part.stretches:
            return False
        if self._tracker is None or not part.received_bytes:  # or else the application says how much it played
            part.settled_ms = part.played_by(self._clock())
        part.generated = True
        part.stretches.clear()
        return True

    def truncated(self, item_id: str, content_index: int, audio_end_ms: float) -> None:
        """Settle a part at what the far end says was heard (server-side playback)."""
        part = self._part("", item_id, content_index, PCM16)
        part.settled_ms = max(0.0, audio_end_ms)
        part.generated = True
        part.stretches.clear()

    def _part(self, response_id: str, item_id: str, content_index: int, format: AudioFormat) -> _Part:  # noqa: A002
        key = (item_id, content_index)
        part = self._parts.get(key)
        if part is None:
            self._forget_finished()
            part = _Part(response_id, item_id, content_index, format, format.bytes_per_second)
            self._parts[key] = part
        return part

    def _state(self, part: _Part) -> PartPlayback:
        received = part.received_ms
        started = part.started_at
        if part.settled_ms is not None:
            played = part.settled_ms
        elif self._tracker is None:
            now = self._clock()
            played = part.played_by(now)
            if started is not None and started > now:
                started = None  # it waits behind what is played now
        else:
            played = self._reported_ms(part, self._tracker)
            started = self._tracker.started_at(part.item_id, part.content_index)
        return PartPlayback(
            part.response_id,
            part.item_id,
            part.content_index,
            received,
            min(played, received),
            part.generated or part.settled_ms is not None,
            started,
        )

    def _reported_ms(self, part: _Part, tracker: RealtimePlaybackTracker) -> float:
        """Playback is in sequence: once a later part is being played, this one was played whole."""
        last = tracker.last_reported
        if last is not None and last != (part.item_id, part.content_index) and last in self._parts:
            keys = list(self._parts)
            if keys.index(last) > keys.index((part.item_id, part.content_index)):
                return part.received_ms
        return min(tracker.played_ms(part.item_id, part.content_index), part.received_ms)

    def _forget_finished(self) -> None:
        # Parts are played in order: behind the first that isn't finished, none is.
        while self._parts:
            key, part = next(iter(self._parts.items()))
            state = self._state(part)
            if part.settled_ms is None and state.audible and len(self._parts) < _OPEN_PARTS:
                break
            remember(self._settled, key, state, _REMEMBERED_PARTS)
            del self._parts[key]
            if self._last is part:
                self._last = None
