"""A call's audio on a UDP port: G.711 in order as it comes, and 20 ms of it on each tick of the media clock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

from jackfield.audio import Lost, Media, ReorderBuffer
from jackfield_local.sip.flow import HostPort
from jackfield_local.sip.media_clock import MediaClock
from jackfield_local.sip.rtp import Latch, RtpSender, parse_rtp
from jackfield_local.sip.sdp import Agreement
from jackfield_local.sip.telephone_events import EventPacket, EventReceiver, event_packets

__all__ = ["FRAME_BYTES", "RtpPort", "silence"]

logger = logging.getLogger(__name__)

FRAME_BYTES: Final = 160
"""20 ms of G.711, which has a byte for each of 8,000 samples a second."""
_SILENCE: Final = {"audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}
_MOST_FRAMES: Final = 5
"""Sent in a row where time was lost; what is older isn't made up for."""
_MOST_LOST: Final = 50
"""A gap of more packets is told of as one of so many: it is a pause, and silence is made up for by the clock."""
_LARGEST_PACKET: Final = 2_048
_TRIES: Final = 16


def silence(audio_format: str, samples: int = FRAME_BYTES) -> bytes:
    """Return silence in a G.711 format."""
    return _SILENCE[audio_format] * samples


class RtpPort(asyncio.DatagramProtocol):
    """One call's port. It hears and sends from `agree` on.

    `play` returns the next 20 ms, or None for silence; it isn't called while nothing may be sent. `hear` is given audio
    as it comes, and silence in the place of what was lost; `pressed` is given the keys that the peer presses. `tick` is
    called every 20 ms in any case, before `play`.
    """

    def __init__(
        self,
        clock: MediaClock,
        *,
        play: Callable[[], bytes | None],
        hear: Callable[[bytes], None],
        pressed: Callable[[str], None],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.received = 0
        """Packets of the peer's."""
        self.ignored = 0
        """Datagrams that were no packets of the peer's."""
        self._clock = clock
        self._play = play
        self._hear = hear
        self._pressed = pressed
        self._tick = tick
        self._agreement: Agreement | None = None
        self._latch: Latch | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._sender = RtpSender()
        self._order = ReorderBuffer()
        self._events = EventReceiver()
        self._keys: Iterator[EventPacket | None] = iter(())
        self._event_timestamp = 0
        self._silence = b""
        self._resumes = True
        self._now = asyncio.get_running_loop().time

    @classmethod
    async def open(cls, host: str, clock: MediaClock, **callables: Any) -> Self:
        """Open a port on `host`, of an even number where there is one (RFC 3550, section 11)."""
        port = cls(clock, **callables)
        sock = _bind(host)
        try:
            port._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: port, sock=sock)
        except BaseException:
            sock.close()
            raise
        return port

    @property
    def local(self) -> HostPort:
        """Where we hear."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    @property
    def lost(self) -> int:
        """Packets of the peer's that did not come."""
        return self._order.lost

    @property
    def hears(self) -> bool:
        """Whether the peer is to send something."""
        return self._agreement is not None and self._agreement.hears

    @property
    def agreement(self) -> Agreement | None:
        """What was agreed on last."""
        return self._agreement

    def agree(self, agreement: Agreement) -> None:
        """Go by what was agreed on, now or anew."""
        if self._latch is None:
            self._latch = Latch(agreement.remote)
            self._clock.add(self._frames_due)
        else:
            self._latch.describe(agreement.remote)
        self._agreement = agreement
        self._silence = silence(agreement.codec.format)

    def press(self, keys: str) -> None:
        """Press keys. Raises `ConfigurationError` for what is on no keypad."""
        packets = event_packets(keys)
        before = self._keys
        self._keys = (packet for packets in (before, packets) for packet in packets)

    def close(self) -> None:
        """Close the port."""
        self._clock.remove(self._frames_due)
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Take what came."""
        agreement, latch = self._agreement, self._latch
        packet = parse_rtp(data) if len(data) <= _LARGEST_PACKET else None
        if packet is None or agreement is None or latch is None:
            self.ignored += 1
            return
        audio = packet.payload_type == agreement.codec.payload_type
        event = packet.payload_type == agreement.events_type
        if not (audio or event) or not latch.admits((addr[0], addr[1]), self._now()):
            self.ignored += 1
            return
        self.received += 1
        if not agreement.hears:
            return
        if event:
            key = self._events.receive(packet.ssrc, packet.timestamp, packet.payload)
            if key is not None:
                self._pressed(key)
        # Events have a place in the order of packets, and nothing to be heard.
        place = Media(packet.sequence, packet.timestamp, packet.payload if audio else b"", packet.ssrc)
        for due in self._order.add(place, self._now()):
            self._take(due)

    def error_received(self, exc: Exception) -> None:
        """Take note that nobody is there; the call goes on, as long as SIP says so."""
        logger.debug("Audio could not be delivered: %s", exc)

    def _take(self, due: Media | Lost) -> None:
        if isinstance(due, Lost):
            self._hear(self._silence * min(due.count, _MOST_LOST))
        elif due.payload:
            self._hear(due.payload)

    def _frames_due(self, frames: int) -> None:
        agreement, latch, transport = self._agreement, self._latch, self._transport
        assert agreement is not None and latch is not None and transport is not None
        # The clock of what we send is often enough to look for what is waited for no longer.
        for due in self._order.expire(self._now()):
            self._take(due)
        if frames > _MOST_FRAMES:
            self._sender.advance((frames - _MOST_FRAMES) * FRAME_BYTES)
            frames = _MOST_FRAMES
        for _ in range(frames):
            self._tick()
            if transport.is_closing():
                return
            if agreement.sends:
                transport.sendto(self._next_packet(agreement, self._play()), latch.remote)
            self._sender.advance(FRAME_BYTES)

    def _next_packet(self, agreement: Agreement, audio: bytes | None) -> bytes:
        event = next(self._keys, None) if agreement.events_type is not None else None
        if event is not None and agreement.events_type is not None:
            if event.first:
                self._event_timestamp = self._sender.timestamp
            self._resumes = True
            return self._sender.packet(
                agreement.events_type, event.payload, marker=event.marker, timestamp=self._event_timestamp
            )
        marker, self._resumes = self._resumes, False
        return self._sender.packet(agreement.codec.payload_type, audio or self._silence, marker=marker)


def _bind(host: str) -> socket.socket:
    """Return a socket on a free port: an even one, if one is found soon."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as odd:
        for _ in range(_TRIES):
            sock = _bound(family, host)
            if sock.getsockname()[1] % 2 == 0:
                return sock
            odd.enter_context(sock)
        return _bound(family, host)


def _bound(family: socket.AddressFamily, host: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind((host, 0))
    except BaseException:
        sock.close()
        raise
    return sock
