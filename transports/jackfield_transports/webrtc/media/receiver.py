"""An `RTCRtpReceiver` for audio that hands RTP packets on as they come.

aiortc's own holds 80 ms back, and 281 ms for the rest of the call once a packet was lost; it decodes on a thread per
receiver. This one keeps its place in the peer connection, reports to the sender as RFC 3550 wants it, and leaves
order and decoding to `incoming`. What it leans on inside aiortc is checked in `seam` before it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable

from aiortc import RTCRtpReceiver, clock
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, RtpPacket
from aiortc.stats import RTCInboundRtpStreamStats, RTCStatsReport

from jackfield.audio import Media

__all__ = ["AudioReceiver"]

_CLOCK_RATE = 48_000
_REPORT_SECONDS = 1.0
"""Between two reports, on average; each interval is from half to one and a half of it (RFC 3550, section 6.2)."""


class AudioReceiver(RTCRtpReceiver):
    """Receives one audio stream. `take` is given each packet."""

    def __init__(self, transport: RTCDtlsTransport, take: Callable[[Media], None]) -> None:
        super().__init__("audio", transport)
        self.receiving = False
        """Whether the peer connection has set it to work."""
        self._take = take
        self._payload_types: set[int | None] = set()
        self._streams: dict[int, StreamStatistics] = {}
        self._reported: dict[int, tuple[int, float]] = {}
        self._ssrc: int | None = None
        self._reporting: asyncio.Task[None] | None = None

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begin to receive; called by the peer connection."""
        if self.receiving:
            return
        self.receiving = True
        self._payload_types = {codec.payloadType for codec in parameters.codecs if codec.name.lower() == "opus"}
        self.transport._register_rtp_receiver(self, parameters)
        self._reporting = asyncio.ensure_future(self._report())

    async def stop(self) -> None:
        """End it; called by the peer connection."""
        if not self.receiving:
            return
        self.transport._unregister_rtp_receiver(self)
        reporting, self._reporting = self._reporting, None
        if reporting is not None:
            reporting.cancel()
            await asyncio.wait({reporting})

    async def getStats(self) -> RTCStatsReport:  # noqa: N802 - the name is the standard's
        """Return what was received (https://www.w3.org/TR/webrtc-stats/)."""
        report = await super().getStats()
        for ssrc, stream in self._streams.items():
            report.add(
                RTCInboundRtpStreamStats(
                    timestamp=clock.current_datetime(),
                    type="inbound-rtp",
                    id=f"inbound-rtp_{id(self)}",
                    ssrc=ssrc,
                    kind="audio",
                    transportId=self.transport._stats_id,
                    packetsReceived=stream.packets_received,
                    packetsLost=stream.packets_lost,
                    jitter=stream.jitter,
                )
            )
        return report

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        super()._set_rtcp_ssrc(ssrc)
        self._ssrc = ssrc

    def _handle_disconnect(self) -> None:
        """Nothing is to be stopped: the state of the peer connection tells."""

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            self._reported[packet.ssrc] = ((packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF, time.time())

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if not self._enabled or packet.payload_type not in self._payload_types:
            return
        stream = self._streams.get(packet.ssrc)
        if stream is None:
            # A stream under a new SSRC takes the place of the old one.
            self._streams = {packet.ssrc: (stream := StreamStatistics(_CLOCK_RATE))}
        stream.add(packet)
        self._take(Media(packet.sequence_number, packet.timestamp, packet.payload, packet.ssrc))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS * (0.5 + random.random()))  # noqa: S311 - spreads load, hides nothing
            if self._ssrc is not None and self._streams:
                report = RtcpRrPacket(ssrc=self._ssrc, reports=[self._info(*known) for known in self._streams.items()])
                with contextlib.suppress(ConnectionError):
                    await self.transport._send_rtp(bytes(report))

    def _info(self, ssrc: int, stream: StreamStatistics) -> RtcpReceiverInfo:
        last, at = self._reported.get(ssrc, (0, 0.0))
        delay = time.time() - at
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=stream.fraction_lost,
            packets_lost=stream.packets_lost,
            highest_sequence=stream.max_seq or 0,
            jitter=stream.jitter,
            lsr=last,
            dlsr=int(delay * 65536) if last and 0 < delay < 65536 else 0,
        )
