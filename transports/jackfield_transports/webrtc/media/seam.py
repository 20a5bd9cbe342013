"""Where we reach into aiortc, whether that is safe with the version that is installed, and what is done if it isn't.

Two things are reached for: the receiver of a transceiver, which is swapped for `AudioReceiver`, and the addresses that
ICE gathers on, where loopback is missing for calls that never leave the machine. Both are tried out once a
process, without a network. Where that fails, aiortc is used as it comes, and `media_path` says so.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from aiortc import RTCIceGatherer, RTCRtpTransceiver
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpReceiveParameters,
)
from aiortc.rtp import RtpPacket
from attrs import frozen

from .receiver import AudioReceiver

__all__ = ["MediaPath", "gather_loopback", "media_path", "swap_receiver", "use_stock"]

logger = logging.getLogger("jackfield.webrtc")

_LOOPBACK: Final = "127.0.0.1"
_RECEIVER: Final = "_RTCRtpTransceiver__receiver"


@frozen
class MediaPath:
    """Which way received audio takes: `own`, or `stock`, which is aiortc's, and then why."""

    name: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})" if self.reason else self.name


_chosen: MediaPath | None = None
_forced: str | None = None


async def media_path(transceiver: RTCRtpTransceiver) -> MediaPath:
    """Return the path that fits the aiortc that is installed; it is tried out the first time."""
    global _chosen  # noqa: PLW0603 - what is installed is the same for the whole process
    if _forced is not None:
        return MediaPath("stock", _forced)
    if _chosen is None:
        try:
            await _try_out(transceiver)
        except Exception as error:  # noqa: BLE001 - whatever it is: aiortc has changed inside
            version = importlib.metadata.version("aiortc")
            _chosen = MediaPath("stock", f"aiortc {version} is not built as expected: {type(error).__name__}: {error}")
            logger.warning("received audio takes aiortc's own path: %s", _chosen.reason)
        else:
            _chosen = MediaPath("own")
    return _chosen


@contextlib.contextmanager
def use_stock(reason: str = "asked for") -> Iterator[None]:
    """Use aiortc as it comes for the peers that are made in this block: to compare with, and for tests."""
    global _forced  # noqa: PLW0603
    before, _forced = _forced, reason
    try:
        yield
    finally:
        _forced = before


def swap_receiver(transceiver: RTCRtpTransceiver, take: Callable[[int, int, bytes], None]) -> AudioReceiver:
    """Put an `AudioReceiver` into the place of the transceiver's own, before any description is set."""
    stock = transceiver.receiver
    own = AudioReceiver(stock.transport, take)
    own._set_rtcp_ssrc(transceiver.sender._ssrc)
    setattr(transceiver, _RECEIVER, own)
    if transceiver.receiver is not own:
        raise AttributeError("a transceiver keeps its receiver elsewhere")
    return own


def gather_loopback(gatherer: RTCIceGatherer, *, alone: bool) -> None:
    """Have ICE gather on 127.0.0.1 too, or `alone` there; aioice would leave out just that."""
    connection: Any = gatherer._connection
    gather = connection.get_component_candidates

    async def on_loopback(component: int, addresses: list[str], **more: Any) -> Any:
        others = [] if alone else [address for address in addresses if address != _LOOPBACK]
        return await gather(component=component, addresses=[_LOOPBACK, *others], **more)

    connection.get_component_candidates = on_loopback


async def _try_out(transceiver: RTCRtpTransceiver) -> None:
    """Take a packet the way that packets will come; raise where it doesn't arrive."""
    taken: list[tuple[int, int, bytes]] = []
    stock = transceiver.receiver
    own = swap_receiver(transceiver, lambda *packet: taken.append(packet))
    try:
        codec = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96)
        encoding = RTCRtpDecodingParameters(ssrc=1234, payloadType=96)
        parameters = RTCRtpReceiveParameters(codecs=[codec], encodings=[encoding], rtcp=RTCRtcpParameters())
        await own.receive(parameters)
        packet = RtpPacket(payload_type=96, sequence_number=7, timestamp=960)
        packet.ssrc, packet.payload = 1234, b"opus"
        await own.transport._handle_rtp_data(bytes(packet.serialize()), arrival_time_ms=0)
        await own.getStats()
        await own.stop()
    finally:
        setattr(transceiver, _RECEIVER, stock)
    if taken != [(7, 960, b"opus")]:
        raise AssertionError(f"of one packet, {taken} came through")
