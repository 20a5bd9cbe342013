"""Keys of a telephone as RTP packets of their own (RFC 4733): noticed once each, and sent."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import Final

from attrs import define, field, frozen

from jackfield.errors import ConfigurationError

__all__ = ["KEYS", "EventPacket", "EventReceiver", "event_packets"]

KEYS: Final = "0123456789*#ABCD"
_PAYLOAD: Final = struct.Struct("!BBH")
_END: Final = 0x80
_VOLUME: Final = 10
_TIMES_ENDED: Final = 3
_REMEMBERED: Final = 8


@define
class EventReceiver:
    """Notices keys: an event is in many packets, of one timestamp, and any of them may be lost."""

    _known: deque[tuple[int, int, int]] = field(factory=lambda: deque(maxlen=_REMEMBERED))

    def receive(self, ssrc: int, timestamp: int, payload: bytes) -> str | None:
        """Take an event packet; return the key, where it is news."""
        if len(payload) < _PAYLOAD.size:
            return None
        number = payload[0]
        event = (ssrc, timestamp, number)
        if number >= len(KEYS) or event in self._known:
            return None
        self._known.append(event)
        return KEYS[number]


@frozen
class EventPacket:
    """One packet of an event that is being sent."""

    payload: bytes
    marker: bool
    first: bool
    """Whether an event begins with it: the timestamp of that moment is the one of all its packets."""


def event_packets(
    keys: str, *, samples: int = 160, tone_packets: int = 5, pause_packets: int = 3
) -> Iterator[EventPacket | None]:
    """Yield what takes the place of an audio packet, one after the other, for `keys`; None where there is a pause.

    The end of each is sent three times (2.5.1.4). Raises `ConfigurationError` for what is no key.
    """
    numbers = []
    for key in keys:
        if key.upper() not in KEYS:
            raise ConfigurationError(f"{key!r} is on no keypad: use 0-9, *, # and A-D")
        numbers.append(KEYS.index(key.upper()))
    return _packets(numbers, samples, tone_packets, pause_packets)


def _packets(numbers: list[int], samples: int, tone_packets: int, pause_packets: int) -> Iterator[EventPacket | None]:
    for number in numbers:
        for index in range(tone_packets + _TIMES_ENDED):
            ended = index >= tone_packets
            duration = min(index + 1, tone_packets + 1) * samples
            flags = _VOLUME | (_END if ended else 0)
            yield EventPacket(_PAYLOAD.pack(number, flags, duration), index == 0, index == 0)
        for _ in range(pause_packets):
            yield None
