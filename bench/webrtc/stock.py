"""Bare aiortc at both ends, as its users write it: a track that is paced in `recv`, and a loop that reads the other."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection

    from .talk import Ear, Mouth

TITLE = "bare aiortc"
SAID_HZ = 48_000
HEARD_HZ = 96_000
"""In stereo, always."""

_FRAME_SECONDS: Final = 0.02
_SAMPLES: Final = SAID_HZ // 50
_SILENCE: Final = bytes(2 * _SAMPLES)


def missing() -> str | None:
    return None if importlib.util.find_spec("aiortc") else "aiortc is not installed"


async def dial(url: str, mouth: Mouth, ear: Ear) -> _Call:
    import httpx
    from aiortc import RTCSessionDescription

    call = _Call(mouth, ear)
    connection = call.connection
    channel = connection.createDataChannel("oai-events")
    opened, connected = asyncio.Event(), asyncio.Event()
    channel.on("open", opened.set)
    connection.on("connectionstatechange", lambda: connected.set() if connection.connectionState == "connected" else 0)
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Content-Type": "application/sdp", "Authorization": "Bearer bench"}
    # No TLS is spoken here: loading the trust store would only take time.
    async with httpx.AsyncClient(verify=False) as client:
        response = await client.post(url, headers=headers, content=connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(response.raise_for_status().text, "answer"))
    await connected.wait()
    await opened.wait()
    return call


async def answer(offer: str, mouth: Mouth, ear: Ear) -> tuple[str, _Call]:
    from aiortc import RTCSessionDescription

    call = _Call(mouth, ear)
    await call.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await call.connection.setLocalDescription(await call.connection.createAnswer())
    return call.connection.localDescription.sdp, call


class _Call:
    def __init__(self, mouth: Mouth, ear: Ear) -> None:
        from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection

        self.connection: RTCPeerConnection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._ear = ear
        self._listening: asyncio.Task[None] | None = None
        self.connection.addTrack(_voice(mouth))
        self.connection.on("track", self._begin)

    async def close(self) -> None:
        await self.connection.close()
        if self._listening is not None:
            self._listening.cancel()

    def _begin(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        from aiortc import MediaStreamError
        from av import AudioFrame

        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                self._ear.hear(frame.planes[0])


def _voice(mouth: Mouth) -> MediaStreamTrack:
    from aiortc import MediaStreamTrack
    from av import AudioFrame

    time_base = Fraction(1, SAID_HZ)

    class Voice(MediaStreamTrack):
        kind = "audio"

        def __init__(self) -> None:
            super().__init__()
            self._frames = 0
            self._started = 0.0

        async def recv(self) -> AudioFrame:
            if self._frames:
                await asyncio.sleep(self._started + self._frames * _FRAME_SECONDS - time.monotonic())
            else:
                self._started = time.monotonic()
            frame = AudioFrame(format="s16", layout="mono", samples=_SAMPLES)
            frame.planes[0].update(mouth.chunk() or _SILENCE)
            frame.sample_rate, frame.time_base, frame.pts = SAID_HZ, time_base, self._frames * _SAMPLES
            self._frames += 1
            return frame

    return Voice()
