"""A caller for the tests of WebRTC calls: a plain aiortc peer connection with a microphone, as a browser has one."""

from __future__ import annotations

import asyncio
import json
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
import pytest
from aiortc import MediaStreamError, MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdatachannel import RTCDataChannel

from jackfield_local import LocalServer

FRAME = 960
LOUD = 1000


class Microphone(MediaStreamTrack):
    """Sends what it is told to say, and silence; `muted`, it sends nothing at all."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.muted = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._words = bytearray()
        self._silent = asyncio.Event()
        self._due: float | None = None
        self._samples = 0

    async def say(self, pcm: bytes) -> None:
        """Say `pcm` (24,000 Hz) in real time, and return when all of it is on its way."""
        self._words += pcm
        self._silent.clear()
        await self._silent.wait()

    def mute(self) -> None:
        self._open.clear()

    async def recv(self) -> av.AudioFrame:
        await self._open.wait()
        now = asyncio.get_running_loop().time()
        self._due = max(self._due or now, now - 0.2) + 0.02
        await asyncio.sleep(self._due - now)
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME // 2)
        frame.planes[0].update(bytes(self._words[:FRAME]).ljust(FRAME, b"\0"))
        del self._words[:FRAME]
        if not self._words:
            self._silent.set()
        frame.sample_rate, frame.pts, frame.time_base = 24_000, self._samples, Fraction(1, 24_000)
        self._samples += FRAME // 2
        return frame


class Hum:
    """A voice that hums on one note for 50 ms a letter, so that every moment of it is loud."""

    def synthesize(self, text: str, *, voice: str, speed: float) -> bytes:
        samples = np.arange(len(text) * 1200)
        return (np.sin(samples * (2 * np.pi * 400 / 24_000)) * 9000).astype("<i2").tobytes()


class Caller:
    """One side of a call. It checks every event it gets, and measures what it hears."""

    def __init__(self, assert_valid: Callable[[dict[str, Any]], None], *, microphone: bool = True) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.mic = Microphone()
        if microphone:
            self.peer.addTrack(self.mic)
        else:
            self.peer.addTransceiver("audio", "recvonly")
        self.events: list[dict[str, Any]] = []
        self.levels: list[float] = []
        self.raw: list[str | bytes] = []
        self.call_id = ""
        self._assert_valid = assert_valid
        self._inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.channel = self.open_channel()
        self.peer.on("track", self._listen)
        self.peer.on("connectionstatechange", self._note_state)

    def open_channel(self, label: str = "oai-events") -> RTCDataChannel:
        channel = self.peer.createDataChannel(label)
        channel.on("message", self._inbox.put_nowait)
        channel.on("close", lambda: self._inbox.put_nowait(None))
        return channel

    @property
    def state(self) -> str:
        return self.peer.connectionState

    @property
    def loud_ms(self) -> int:
        """For how long something was heard that isn't silence."""
        return sum(20 for level in self.levels if level > LOUD)

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def post(self, server: LocalServer, *, query: str = "?model=gpt-realtime", **options: Any) -> httpx.Response:
        """Post an offer in the raw form, unless told otherwise, and return what the server says to it."""
        options.setdefault("headers", {"Authorization": "Bearer test-key", "Content-Type": "application/sdp"})
        if "files" not in options:
            options.setdefault("content", (await self.offer()).encode())
        async with httpx.AsyncClient(timeout=20) as http:
            return await http.post(f"{server.http_url}/realtime/calls{query}", **options)

    async def dial(self, server: LocalServer, **options: Any) -> None:
        """Call, and take the answer."""
        response = await self.post(server, **options)
        assert response.status_code == 201, response.text
        await self.accept(response)

    async def accept(self, response: httpx.Response) -> None:
        self.call_id = response.headers["location"].rpartition("/")[2]
        await self.peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event as soon as that can be done."""
        if self.channel.readyState == "connecting":
            opened = asyncio.Event()
            self.channel.on("open", opened.set)
            async with asyncio.timeout(20):
                await opened.wait()
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def frame(self) -> str | bytes | None:
        """Return the next message, None once the channel is closed."""
        async with asyncio.timeout(20):
            return await self._inbox.get()

    async def next(self) -> dict[str, Any]:
        frame = await self.frame()
        assert isinstance(frame, str), "the data channel was closed"
        event = json.loads(frame)
        self._assert_valid(event)
        self.events.append(event)
        return typing.cast(dict[str, Any], event)

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event = await self.next()
            if event["type"] == kind:
                return event

    async def rest(self) -> list[dict[str, Any]]:
        """Read until the channel is closed."""
        start = len(self.events)
        while (frame := await self.frame()) is not None:
            self.events.append(json.loads(frame))
        return self.events[start:]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    async def listen_until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so that depends on what is heard, or on the connection's state."""
        async with asyncio.timeout(20):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def hear_silence(self) -> None:
        """Wait until it has been silent for a while."""
        await self.listen_until(lambda: len(self.levels) > 10 and max(self.levels[-10:]) < LOUD)

    async def close(self) -> None:
        await self.peer.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def _note_state(self) -> None:
        self._news.set()

    def _listen(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.ensure_future(self._measure(track))

    async def _measure(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                samples = (await track.recv()).to_ndarray().astype(np.float64)
                self.levels.append(float(np.sqrt(np.mean(samples**2))))
                self._news.set()
        except MediaStreamError:
            pass


@pytest.fixture
def caller(assert_valid: Any) -> Callable[..., Any]:
    """Make a caller, who hangs up at the end of the block."""

    @asynccontextmanager
    async def make(server: LocalServer | None = None, **options: Any) -> AsyncIterator[Caller]:
        made = Caller(assert_valid, microphone=options.pop("microphone", True))
        try:
            if server is not None:
                await made.dial(server, **options)
            yield made
        finally:
            await made.close()

    return make


@pytest.fixture(name="Hum")
def hum_fixture() -> type[Hum]:
    return Hum


@pytest.fixture
def hang_up() -> Callable[..., Any]:
    """Hang a call up by REST."""

    async def post(server: LocalServer, call_id: str, key: str = "test-key") -> httpx.Response:
        async with httpx.AsyncClient() as http:
            url = f"{server.http_url}/realtime/calls/{call_id}/hangup"
            return await http.post(url, headers={"Authorization": f"Bearer {key}"})

    return post
