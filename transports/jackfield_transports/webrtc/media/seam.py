"""Where we reach into aiortc, whether that is safe with the version that is installed, and what is done if it isn't.

The receiver of a transceiver is reached for, and swapped for `AudioReceiver`. That is tried out once a process, without
a network. Where it fails, aiortc is used as it comes, and `media_path` says so. The task that a peer connection
connects in is reached for as well; where that isn't found, closing in the middle leaves it to itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
from collections.abc import Callable, Iterator
from typing import Final

from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpReceiveParameters,
)
from aiortc.rtp import RtpPacket
from attrs import frozen

from jackfield.audio import Media

from .receiver import AudioReceiver

__all__ = ["MediaPath", "connecting_tasks", "media_path", "swap_receiver", "use_stock"]

logger = logging.getLogger("jackfield.webrtc")

_RECEIVER: Final = "_RTCRtpTransceiver__receiver"
_CONNECT: Final = "_RTCPeerConnection__connect"


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


def swap_receiver(transceiver: RTCRtpTransceiver, take: Callable[[Media], None]) -> AudioReceiver:
    """Put an `AudioReceiver` into the place of the transceiver's own, before any description is set."""
    stock = transceiver.receiver
    own = AudioReceiver(stock.transport, take)
    own._set_rtcp_ssrc(transceiver.sender._ssrc)
    setattr(transceiver, _RECEIVER, own)
    if transceiver.receiver is not own:
        raise AttributeError("a transceiver keeps its receiver elsewhere")
    return own


def connecting_tasks(connection: RTCPeerConnection) -> set[asyncio.Task[None]]:
    """Return the tasks, now and later, in which `connection` looks for a path and agrees on keys.

    aiortc closes around them, and they go on: what they open after that stays open.
    """
    tasks: set[asyncio.Task[None]] = set()
    connect = getattr(connection, _CONNECT, None)
    if connect is None:
        return tasks

    async def noted() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await connect()
        except Exception as error:  # noqa: BLE001 - whoever connects is told by the states; nobody awaits this task
            logger.debug("connecting a peer failed: %r", error)
        finally:
            tasks.discard(task)

    setattr(connection, _CONNECT, noted)
    return tasks


async def _try_out(transceiver: RTCRtpTransceiver) -> None:
    """Take a packet the way that packets will come; raise where it doesn't arrive."""
    taken: list[Media] = []
    stock = transceiver.receiver
    own = swap_receiver(transceiver, taken.append)
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
    if taken != [Media(7, 960, b"opus", 1234)]:
        raise AssertionError(f"of one packet, {taken} came through")
