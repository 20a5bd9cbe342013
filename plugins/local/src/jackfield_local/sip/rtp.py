"""RTP packets (RFC 3550, section 5.1): what they are, those that we send, and where the peer is."""

from __future__ import annotations

import random
import struct
from typing import Final

from attrs import define, field, frozen

from jackfield_local.sip.flow import HostPort

__all__ = ["Latch", "RtpPacket", "RtpSender", "parse_rtp"]

_HEADER: Final = struct.Struct("!BBHII")
_VERSION: Final = 0x80


@frozen
class RtpPacket:
    """One packet."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Return the packet that a datagram is; None for what is none, such as RTCP, STUN and keep-alives."""
    if len(data) < _HEADER.size or data[0] & 0xC0 != _VERSION:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if 64 <= second & 0x7F < 96:
        return None  # RTCP on the same port (RFC 5761, section 4)
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:  # an extension: 16 bits of its own, and how many words follow
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if first & 0x20:  # padding: its last octet is its length
        end -= data[-1]
        if not data[-1]:
            return None
    if start > end:
        return None
    return RtpPacket(second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, data[start:end])


class RtpSender:
    """The numbers of what we send: everything begins at random (5.1)."""

    def __init__(self, chance: random.Random | None = None) -> None:
        chance = chance or random.SystemRandom()
        self._ssrc = chance.getrandbits(32)
        self._sequence = chance.getrandbits(16)
        self._timestamp = chance.getrandbits(32)

    @property
    def timestamp(self) -> int:
        """That of the packet that comes next."""
        return self._timestamp

    def advance(self, samples: int) -> None:
        """Let time pass by so many samples."""
        self._timestamp = (self._timestamp + samples) & 0xFFFFFFFF

    def packet(self, payload_type: int, payload: bytes, *, marker: bool = False, timestamp: int | None = None) -> bytes:
        """Return the next packet, with the time that it is now, or another `timestamp`."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        second = payload_type | (0x80 if marker else 0)
        when = self._timestamp if timestamp is None else timestamp
        return _HEADER.pack(_VERSION, second, self._sequence, when, self._ssrc) + payload


@define
class Latch:
    """Where the peer is: at the address of its description, until its packets come from elsewhere.

    Behind NAT the description is wrong, and some peers send from another port than they hear on. So the source of the
    first packet counts. Later another one may take over only where the first has fallen silent, and not often: else
    anybody who finds the port could have the call's audio sent to himself. The address of the description always may.
    """

    described: HostPort
    silent_seconds: float = 1.0
    again_seconds: float = 5.0
    _source: HostPort | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _heard: float = field(default=0.0, init=False)

    @property
    def remote(self) -> HostPort:
        """Where to send."""
        return self._source or self.described

    def admits(self, source: HostPort, now: float) -> bool:
        """Take note of a packet's source; return whether the packet is the peer's."""
        if source != self._source:
            talks = now - self._heard < self.silent_seconds or now - self._since < self.again_seconds
            if self._source is not None and talks and source != self.described:
                return False
            self._source, self._since = source, now
        self._heard = now
        return True

    def describe(self, remote: HostPort) -> None:
        """Go by a new description, if it names another address."""
        if remote != self.described:
            self.described = remote
            self._source = None
