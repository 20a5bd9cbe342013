"""From RTP packets to PCM: order, decoding, concealment, and the rate that the rest of the house works at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from attrs import define

from jackfield.audio import Lost, Media, ReorderBuffer

from .codec import FRAME_MS, RATE, OpusDecoder
from .conceal import Concealer

__all__ = ["IncomingAudio", "MediaCounts"]

logger = logging.getLogger("jackfield.webrtc")

_MOST_CONCEALED: Final = 25
"""Packets: half a second. A longer gap is an outage, and is not made up for."""


@define
class MediaCounts:
    """What became of the packets of one direction."""

    packets: int = 0
    lost: int = 0
    """Given up, and concealed."""
    late: int = 0
    """Came when they were given up already, or twice."""
    broken: int = 0
    """Could not be decoded."""


class IncomingAudio:
    """One remote stream of Opus. `sink` is called, on the loop, with PCM16 mono at 24,000 Hz, in order."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._order = ReorderBuffer()
        self._decoder = OpusDecoder(RATE)
        self._concealer = Concealer()
        self._packet_samples = RATE * FRAME_MS // 1000
        self._counts = MediaCounts()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def counts(self) -> MediaCounts:
        """What became of the packets so far."""
        self._counts.lost, self._counts.late = self._order.lost, self._order.late
        return self._counts

    def take(self, packet: Media) -> None:
        """Take a packet as it came."""
        if self._closed:
            return
        self._counts.packets += 1
        for due in self._order.add(packet, self._loop.time()):
            self._play(due)
        self._arm()

    def close(self) -> None:
        """Take no more, and give up what is waited for."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _play(self, due: Media | Lost) -> None:
        if isinstance(due, Lost):
            if due.count <= _MOST_CONCEALED:
                self._sink(self._concealer.conceal(due.count * self._packet_samples))
            return
        if not due.payload:
            return  # padding, as some send to keep a path open
        try:
            pcm = self._decoder.decode(due.payload)
        except ValueError as error:
            self._counts.broken += 1
            logger.debug("a packet could not be decoded: %s", error)
            self._sink(self._concealer.conceal(self._packet_samples))
            return
        if pcm:
            self._packet_samples = len(pcm) // 2
            self._sink(self._concealer.hear(pcm))

    def _arm(self) -> None:
        deadline = self._order.deadline
        if deadline is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None or self._timer.when() != deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._closed:
            return
        for due in self._order.expire(self._loop.time()):
            self._play(due)
        self._arm()
