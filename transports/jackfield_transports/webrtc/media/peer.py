"""One audio-only peer connection: a section of Opus, data channels, one transport for both, and an end in good time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from typing import Final

import av
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from jackfield.transport import TransportError

from .codec import RATE
from .gathering import gather_here
from .incoming import IncomingAudio, MediaCounts
from .outgoing import AudioSource, OutgoingAudio
from .seam import MediaPath, connecting_tasks, media_path, swap_receiver

__all__ = ["AudioPeer", "SdpError", "max_message_size"]

logger = logging.getLogger("jackfield.webrtc")

_CLOSE_SECONDS: Final = 2.0
_DEFAULT_MESSAGE_SIZE: Final = 65_536
"""Bytes; where a description doesn't say (RFC 8841, section 6.1)."""


class SdpError(TransportError):
    """A session description can't be used: it is none, or has nothing in common with us."""


class AudioPeer:
    """An `RTCPeerConnection` that sends what `source` has and gives what it hears to `sink`.

    `source` is asked every 20 ms for a frame (`FRAME_BYTES` of PCM16 mono at 24,000 Hz; None: silence), and `sink` is
    called with PCM16 mono at 24,000 Hz, in order, losses concealed; both on the loop. `loopback` gathers candidates on
    127.0.0.1 as well, and `local_only` there and nowhere else. `bit_rate` is in bits a second. `on_state` is told each
    connection state: new, connecting, connected, disconnected, failed, closed.
    """

    def __init__(
        self,
        *,
        source: AudioSource,
        sink: Callable[[bytes], None],
        ice_servers: Sequence[RTCIceServer] = (),
        loopback: bool = False,
        local_only: bool = False,
        bit_rate: int = 48_000,
        on_state: Callable[[str], None] | None = None,
    ) -> None:
        self.connection = RTCPeerConnection(
            # Without the list aiortc would ask a public STUN server.
            RTCConfiguration(iceServers=list(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connecting = connecting_tasks(self.connection)
        self.media_path: MediaPath | None = None
        """Which way received audio takes, once that is known."""
        self.outgoing = OutgoingAudio(source, bit_rate)
        """The track that is sent."""
        self._sink = sink
        self._loopback = loopback or local_only
        self._local_only = local_only
        self._on_state = on_state
        self._incoming = IncomingAudio(sink)
        self._transceiver = self.connection.addTransceiver("audio", "sendrecv")
        self._listening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.connection.on("connectionstatechange", self._state_changed)

    @property
    def state(self) -> str:
        """The state of the connection, in the standard's words."""
        return str(self.connection.connectionState)

    @property
    def counts(self) -> MediaCounts:
        """What became of the packets that were received; zeros where aiortc's own path is used."""
        return self._incoming.counts

    @property
    def gathered(self) -> Sequence[str]:
        """The types of the local ICE candidates: host, srflx, relay."""
        gatherer = self._transceiver.sender.transport.transport.iceGatherer
        return [str(candidate.type) for candidate in gatherer.getLocalCandidates()]

    async def packets_received(self) -> int:
        """Return how many packets of any kind the far end has sent so far."""
        stats = await self._transceiver.receiver.getStats()
        return sum(entry.packetsReceived for entry in stats.values() if entry.type == "transport")

    async def offer(self) -> str:
        """Return the offer, with all candidates in it."""
        await self._prepare()
        self._transceiver.sender.replaceTrack(self.outgoing)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """Take the far end's answer. Raises `SdpError` for one that can't be used."""
        await self._describe(answer, "answer")

    async def answer(self, offer: str) -> str:
        """Take the far end's offer and return the answer to it. Raises `SdpError` for one that can't be used."""
        await self._prepare()
        self._transceiver.sender.replaceTrack(self.outgoing)
        await self._describe(offer, "offer")
        try:
            await self.connection.setLocalDescription(await self.connection.createAnswer())
        except Exception as error:
            raise SdpError(f"there is no answer to this offer: {error}") from error
        return str(self.connection.localDescription.sdp)

    async def close(self) -> None:
        """End the connection, in bounded time. Calling it again does nothing."""
        self._incoming.close()
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="jackfield webrtc close")
        # Not cancelled with its caller, and not by the limit: a half-closed connection would keep its sockets.
        await asyncio.wait({self._closing}, timeout=_CLOSE_SECONDS)

    async def _close(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
        connecting = set(self._connecting)
        for task in connecting:
            task.cancel()
        if connecting:
            await asyncio.wait(connecting)
        try:
            await self.connection.close()
        except Exception as error:  # noqa: BLE001 - it is over; how it ended changes nothing
            logger.debug("closing a peer connection failed: %r", error)
        self.outgoing.stop()

    async def _prepare(self) -> None:
        if self.media_path is not None:
            return
        self._transceiver.setCodecPreferences(
            [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.name.lower() == "opus"]
        )
        self.media_path = await media_path(self._transceiver)
        if self.media_path.name == "own":
            swap_receiver(self._transceiver, self._incoming.take)
        gatherer = self._transceiver.sender.transport.transport.iceGatherer
        gather_here(gatherer, loopback=self._loopback, alone=self._local_only)

    async def _describe(self, sdp: str, kind: str) -> None:
        if not sdp.startswith("v=0"):
            raise SdpError(f"the {kind} is no session description: it begins with {sdp[:20]!r}")
        media = re.findall(r"^m=(\w+)", sdp, re.MULTILINE)
        if "audio" not in media:
            raise SdpError(f"the {kind} has no audio section, but {', '.join(media) or 'nothing'}")
        try:
            await self.connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        except Exception as error:
            raise SdpError(f"the {kind} can't be used: {error or type(error).__name__}") from error
        if self.media_path is not None and self.media_path.name == "stock" and self._listening is None:
            received = self._transceiver.receiver.track
            if received is not None:
                self._listening = asyncio.create_task(_listen(received, self._sink), name="jackfield webrtc listener")

    def _state_changed(self) -> None:
        if self._on_state is not None:
            self._on_state(self.state)


def max_message_size(sdp: str) -> int:
    """Return how many bytes a message may have at most, by the description of who receives it; 0: any number."""
    told = re.search(r"^a=max-message-size:(\d+)", sdp, re.MULTILINE)
    return int(told.group(1)) if told else _DEFAULT_MESSAGE_SIZE


async def _listen(track: MediaStreamTrack, sink: Callable[[bytes], None]) -> None:
    """Aiortc's own path: frames of 48,000 Hz, stereo, as its decoder thread has them."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with contextlib.suppress(MediaStreamError):
        while True:
            received = await track.recv()
            if isinstance(received, av.AudioFrame):
                for frame in resampler.resample(received):
                    sink(bytes(frame.planes[0])[: frame.samples * 2])
