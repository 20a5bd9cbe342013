"""RTP packets into their order: what comes in order passes at once, and a gap is waited for, but not for long.

It holds nothing back as a reserve, as a buffer towards a loudspeaker would: where audio goes to a recogniser or a
model, a late packet costs nothing but itself. So there is no latency to build up, and none that stays after a loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

__all__ = ["Lost", "Media", "ReorderBuffer"]

_WAIT_SECONDS: Final = 0.04
"""How long a gap is waited for: longer than packets overtake one another by on a network that can be talked over."""
_CAPACITY: Final = 64
"""Packets held behind a gap before it is given up, however short the time."""
_RESTART: Final = 1_000
"""A leap of so many sequence numbers is a new stream, and no gap."""


@frozen
class Media:
    """A packet whose turn it is. `timestamp` is RTP's, in samples of its clock."""

    sequence_number: int
    timestamp: int
    payload: bytes
    ssrc: int = 0
    """Its source: another one is another stream."""


@frozen
class Lost:
    """So many packets, before the next one, that will not come."""

    count: int


class ReorderBuffer:
    """The order of one RTP stream (RFC 3550). Times are seconds of any clock that doesn't go back."""

    def __init__(self) -> None:
        self.late = 0
        """Packets that came when they were given up already, or twice."""
        self.lost = 0
        """Packets that were given up."""
        self._next: int | None = None
        self._ssrc: int | None = None
        self._held: dict[int, Media] = {}
        self._gap_since: float | None = None

    @property
    def deadline(self) -> float | None:
        """When the gap that is waited for is given up; None where there is none."""
        return None if self._gap_since is None else self._gap_since + _WAIT_SECONDS

    def add(self, packet: Media, now: float) -> Iterator[Media | Lost]:
        """Take a packet; yield those whose turn it is, with what was lost before them."""
        if self._next is None:
            self._next = packet.sequence_number
        ahead = _distance(self._next, packet.sequence_number)
        if abs(ahead) >= _RESTART or packet.ssrc != self._ssrc:
            yield from self._give_up_all()
            self._ssrc, self._next, ahead = packet.ssrc, packet.sequence_number, 0
        if ahead < 0 or packet.sequence_number in self._held:
            self.late += 1
            return
        self._held[packet.sequence_number] = packet
        yield from self._in_order(now)
        if len(self._held) >= _CAPACITY:
            yield from self._skip(now)

    def expire(self, now: float) -> Iterator[Media | Lost]:
        """Give up the gap, if its time is over; yield what follows from that."""
        if self.deadline is not None and now >= self.deadline:
            yield from self._skip(now)

    def _in_order(self, now: float) -> Iterator[Media]:
        moved = False
        while self._next is not None and (packet := self._held.pop(self._next, None)) is not None:
            self._next = (self._next + 1) & 0xFFFF
            moved = True
            yield packet
        if not self._held:
            self._gap_since = None
        elif moved or self._gap_since is None:
            self._gap_since = now

    def _skip(self, now: float) -> Iterator[Media | Lost]:
        assert self._next is not None
        start = self._next
        nearest = min(self._held, key=lambda number: _distance(start, number))
        count = _distance(start, nearest)
        self.lost += count
        self._next = nearest
        yield Lost(count)
        yield from self._in_order(now)

    def _give_up_all(self) -> Iterator[Media | Lost]:
        while self._held:
            yield from self._skip(0.0)
        self._gap_since = None


def _distance(start: int, end: int) -> int:
    """How far `end` is ahead of `start`, in numbers of 16 bits that begin again after the last."""
    return ((end - start + 0x8000) & 0xFFFF) - 0x8000
