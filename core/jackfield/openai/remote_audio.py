"""To whom the audio of a track belongs: which response, item and content part, and what of it is only silence.

Where audio travels beside the events, as it does over RTP, nothing in it says what it is. The far end tells when it
begins and ends to play a response (API events `output_audio_buffer.*`), and which part that response has. Both ways
lag behind one another: audio that comes before its event is held, and its end is where silence begins after the event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from jackfield.audio.formats import PCM16
from jackfield.audio.ledger import PlaybackLedger
from jackfield.transport import events as ev

__all__ = ["RemoteAudio"]

_HELD_BYTES: Final = 5 * PCM16.bytes_per_second
"""Audio that waits to be told whose it is; the oldest goes first."""
_TAIL_SECONDS: Final = 0.2
"""How long after the far end stopped to play there may still be audio on the way."""
_CUT_SECONDS: Final = 2.0
"""How long an interruption may take to reach the far end: what it plays until then is what was interrupted."""
_QUIET_SECONDS: Final = 0.6
"""So much silence ends what has been generated whole, where the far end doesn't tell when it stops to play."""


class RemoteAudio:
    """The audio of one connection. `parts` maps responses to their audio part, the oldest first; it is shared."""

    def __init__(self, clock: Callable[[], float], ledger: PlaybackLedger, parts: dict[str, tuple[str, int]]) -> None:
        self.dropped_bytes = 0
        """Audio that nobody claimed in time."""
        self._clock = clock
        self._ledger = ledger
        self._parts = parts
        self._playing: str | None = None
        self._part: tuple[str, int] = ("", 0)
        self._told_start = False
        self._all_generated = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._ends_at: float | None = None
        self._cut_until: float | None = None
        self._quiet_since: float | None = None

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called: a tail that nothing follows ends by itself."""
        return self._ends_at

    def take(self, pcm: bytes, silent: bool) -> list[ev.TransportEvent]:
        """Take what was heard next, PCM16 mono at 24,000 Hz; return what is to be told."""
        now = self._clock()
        if self._cut_until is not None:
            if not silent and now < self._cut_until:
                return []
            self._cut_until = None
        if self._playing is None:
            if silent and not self._held:
                return []
            part = next(iter(self._parts), None)
            if part is None or silent:
                self._hold(pcm)
                return []
            return [*self._begin(part), *self._deliver(pcm)]
        if silent and self._over(now):
            return self._finish()
        self._quiet_since = (self._quiet_since or now) if silent else None
        return self._deliver(pcm)

    def started(self, response_id: str) -> list[ev.TransportEvent]:
        """The far end began to play a response (`output_audio_buffer.started`)."""
        told: list[ev.TransportEvent] = []
        if self._playing != response_id:
            told += self._finish()
            self._cut_until = None
            if response_id in self._parts:
                told += self._begin(response_id)
        self._told_start = self._playing == response_id
        return told

    def stopped(self, response_id: str) -> None:
        """The far end has played a response out (`output_audio_buffer.stopped`); what is on the way still counts."""
        if response_id == self._playing:
            self._ends_at = self._clock() + _TAIL_SECONDS

    def cleared(self, response_id: str) -> list[ev.TransportEvent]:
        """The far end cut a response (`output_audio_buffer.cleared`), by itself or because it was asked to."""
        if self._cut_until is not None:
            self._cut_until = min(self._cut_until, self._clock() + _TAIL_SECONDS)
        if response_id != self._playing:
            self._parts.pop(response_id, None)
            return []
        part, heard = self._part, self._ledger.position(*self._part)
        told = self._finish()
        self._cut_until = self._clock() + _TAIL_SECONDS
        return [ev.AudioInterrupted(response_id, *part, 0 if heard is None else heard.audio_end_ms), *told]

    def interrupted(self, response_ids: Collection[str]) -> list[ev.TransportEvent]:
        """These responses were interrupted here: what the far end still sends of them is dropped."""
        for response_id in response_ids:
            if response_id != self._playing:
                self._parts.pop(response_id, None)
        if response_ids:
            self._cut_until = self._clock() + _CUT_SECONDS
            self._held, self._held_bytes = [], 0
        return self._finish() if self._playing in response_ids else []

    def generated(self, response_id: str, *, whole: bool) -> None:
        """Nothing more is added to a response; where it isn't `whole`, what was not begun to be played never is."""
        if response_id == self._playing:
            self._all_generated = True
        elif not whole:
            self._parts.pop(response_id, None)

    def expire(self) -> list[ev.TransportEvent]:
        """Take note that time has passed."""
        if self._ends_at is not None and self._clock() >= self._ends_at:
            return self._finish()
        return []

    def _over(self, now: float) -> bool:
        if self._ends_at is not None:
            return True
        if self._told_start or not self._all_generated or self._quiet_since is None:
            return False
        return now - self._quiet_since >= _QUIET_SECONDS

    def _begin(self, response_id: str) -> list[ev.TransportEvent]:
        self._playing, self._part = response_id, self._parts[response_id]
        self._told_start = self._all_generated = False
        self._quiet_since = self._ends_at = None
        self._ledger.playing(response_id, *self._part)
        held, self._held, self._held_bytes = self._held, [], 0
        return [event for pcm in held for event in self._deliver(pcm)]

    def _deliver(self, pcm: bytes) -> list[ev.TransportEvent]:
        assert self._playing is not None
        part = self._parts.get(self._playing, self._part)
        told: list[ev.TransportEvent] = []
        if part != self._part:  # the response goes on with another item
            told.append(ev.AudioDone(self._playing, *self._part))
            self._ledger.stopped(*self._part)
            self._part = part
            self._ledger.playing(self._playing, *part)
        self._ledger.received(self._playing, *part, len(pcm))
        return [*told, ev.Audio(pcm, self._playing, *part, PCM16)]

    def _finish(self) -> list[ev.TransportEvent]:
        response_id, self._playing = self._playing, None
        self._ends_at = self._quiet_since = None
        if response_id is None:
            return []
        self._parts.pop(response_id, None)
        self._ledger.stopped(*self._part)
        return [ev.AudioDone(response_id, *self._part)]

    def _hold(self, pcm: bytes) -> None:
        self._held.append(pcm)
        self._held_bytes += len(pcm)
        while self._held_bytes > _HELD_BYTES:
            oldest = self._held.pop(0)
            self._held_bytes -= len(oldest)
            self.dropped_bytes += len(oldest)
