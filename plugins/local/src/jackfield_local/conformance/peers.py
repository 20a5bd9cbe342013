"""A far end over WebRTC that does exactly what a test tells it: it answers offers, records what it gets, says a script.

The signalling is HTTP on loopback; the peer is an `AudioPeer`, and all its packets take a `UdpPath` that the test has a
hand on. What is said on a connection is in `dialect`; here it is said as sound, in real time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from email.parser import BytesParser
from fractions import Fraction
from typing import Any, Final, Self

import numpy as np
from aiortc import MediaStreamTrack, RTCDataChannel
from attrs import field, frozen
from av import AudioFrame

from jackfield.testing.conformance import FarEnd, Script, polite
from jackfield_local.conformance.dialect import DialectConnection
from jackfield_local.conformance.sockets import tcp_server
from jackfield_local.conformance.udp_path import UdpPath, through
from jackfield_transports.webrtc.media import FRAME_BYTES, FRAME_MS, RATE, AudioPeer, DataChannelPort, max_message_size

__all__ = ["CallRequest", "RtcConnection", "RtcFarEnd", "SoundTrack"]

_GOODBYE_SECONDS: Final = 1.0
_QUIET: Final = 64
"""Of 32,768: what is not louder is silence."""


class SoundTrack(MediaStreamTrack):
    """A microphone into which `pcm` (PCM16 mono at 24,000 Hz) is said once, in real time; then it is silent."""

    kind = "audio"

    def __init__(self, pcm: bytes) -> None:
        super().__init__()
        self._pcm = pcm
        self._frames = 0
        self._began: float | None = None

    async def recv(self) -> AudioFrame:
        clock = asyncio.get_running_loop().time
        self._began = clock() if self._began is None else self._began
        await asyncio.sleep(max(0.0, self._began + self._frames * FRAME_MS / 1000 - clock()))
        chunk = self._pcm[self._frames * FRAME_BYTES :][:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
        frame = AudioFrame.from_ndarray(np.frombuffer(chunk, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._frames * frame.samples, Fraction(1, RATE)
        self._frames += 1
        return frame


@frozen
class CallRequest:
    """One request with an offer."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    offer: str
    session: dict[str, Any] | None
    """What came with the offer; None where that came alone."""


class RtcConnection(DialectConnection):
    """One call, once its data channel is there."""

    def __init__(self, request: CallRequest, path: UdpPath, on_channel: Callable[[RtcConnection], None]) -> None:
        super().__init__()
        self.request = request
        self.path = path
        self.given_config = request.session
        self.peer = AudioPeer(
            source=self._next_frame, sink=self._take_sound, local_only=True, on_state=self._state_changed
        )
        self.peer.connection.on("datachannel", self._take_channel)
        self.connected = False
        self._on_channel = on_channel
        self._port: DataChannelPort | None = None
        self._ended = asyncio.Event()
        self._sound = bytearray()
        self._queue = bytearray()
        self._speaking: str | None = None
        self._told_start = False
        self._whole = False

    @property
    def headers(self) -> Mapping[str, str]:
        return self.request.headers

    @property
    def heard(self) -> bytes:
        return bytes(self._sound)

    async def send_text(self, text: str) -> None:
        await self._channel().send(text)

    async def send_binary(self, data: bytes) -> None:
        self._rtc_channel.send(data)

    async def send(self, *events: dict[str, Any]) -> None:
        for event in events:
            self._note(event)
            await super().send(event)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Hang up. There is neither code nor reason in that."""
        if self._port is not None and not self._port.closed:
            self._port.close()  # a channel is closed once all that was sent has arrived
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._ended.wait()
        await self.end()

    def reset(self) -> None:
        self.path.cut()
        self._channel().close()
        self._ended.set()  # no goodbye gets through

    def stall(self) -> None:
        self.path.stall()

    def resume(self) -> None:
        self.path.resume()

    def stop_playing(self) -> None:
        """Drop what is not yet played, and tell so."""
        if self._speaking is not None:
            self._queue.clear()
            self._finish("output_audio_buffer.cleared")

    async def end(self) -> None:
        """Free what the call holds."""
        await self.peer.close()
        self.path.cut()

    async def receive(self) -> dict[str, Any]:
        event = await super().receive()
        if event["type"] == "output_audio_buffer.clear":
            self.stop_playing()
        return event

    async def _next(self) -> str | bytes:
        message = await self._channel().receive()
        if message is None:
            raise ConnectionError("the near end hung up")
        return message

    async def _send_audio(self, audio: bytes, response_id: str, chunk: int) -> None:
        place = {"response_id": response_id, "item_id": f"item_of_{response_id}", "output_index": 0, "content_index": 0}
        await self.send({"type": "response.content_part.added", "part": {"type": "audio", "transcript": ""}, **place})
        while self._speaking is not None:  # one after the other
            await self._news.wait()
        self._speaking, self._told_start, self._whole = response_id, False, False
        self._queue += audio

    def _note(self, event: dict[str, Any]) -> None:
        if event["type"] == "response.done" and event["response"]["id"] == self._speaking:
            self._whole = True

    def _next_frame(self) -> bytes | None:
        if self._speaking is None:
            return None
        if not self._queue:
            if self._whole:
                self._finish("output_audio_buffer.stopped")
            return None
        if not self._told_start:
            self._told_start = True
            self._tell_playing("output_audio_buffer.started")
        frame = bytes(self._queue[:FRAME_BYTES])
        del self._queue[:FRAME_BYTES]
        return frame.ljust(FRAME_BYTES, b"\0")

    def _finish(self, kind: str) -> None:
        self._tell_playing(kind)
        self._speaking = None
        self.tell()

    def _tell_playing(self, kind: str) -> None:
        told = {"type": kind, "event_id": f"event_{next(self._ids)}", "response_id": self._speaking}
        with contextlib.suppress(ConnectionError):
            self._channel().send_now(json.dumps(told))

    def _take_sound(self, pcm: bytes) -> None:
        if len(pcm) and int(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)).max()) > _QUIET:
            self._sound += pcm
            self.tell()

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if self._port is not None:
            return
        self.connected = True
        self._rtc_channel = channel
        self._port = DataChannelPort(channel, max_message_size(self.request.offer))
        channel.on("close", self._channel_closed)
        self._on_channel(self)

    def _channel_closed(self) -> None:
        if self.close_code is None:
            self.close_code = 1000
        self._ended.set()

    def _state_changed(self, state: str) -> None:
        if state in {"failed", "closed"} and self._port is not None:
            self._port.close()
            self._ended.set()

    def _channel(self) -> DataChannelPort:
        assert self._port is not None
        return self._port


class RtcFarEnd(FarEnd[RtcConnection]):
    """A provider of calls on loopback. `script` plays each call; it is hung up when the script returns.

    `status`, `body` and `headers` refuse the offer; without a status the headers are those of the answer. `late` holds
    answers back until it is set. `offer` changes an offer before it is answered, `answer` the answer to it, and `drops`
    says which packets of a call never arrive.
    """

    def __init__(
        self,
        script: Script = polite,
        *,
        status: int | None = None,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        late: asyncio.Event | None = None,
        offer: Callable[[str], str] = lambda sdp: sdp,
        answer: Callable[[str], str] = lambda sdp: sdp,
        drops: Callable[[bytes], bool] | None = None,
    ) -> None:
        super().__init__(script)
        self.status = status
        self.body = body
        self.headers = {"Location": "/v1/realtime/calls/rtc_far_1"} if headers is None else dict(headers)
        self.requests: list[CallRequest] = []
        self._late = late
        self._change_offer, self._change_answer = offer, answer
        self._drops = drops
        self._calls: list[RtcConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[Any]] = set()
        self._stack = contextlib.AsyncExitStack()
        self._port = 0

    @property
    def port(self) -> int:
        return self._port

    def refuse(self, status: int | None) -> None:
        self.status = status

    @property
    def calls_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1/realtime/calls"

    def lose_calls(self) -> None:
        """Have the network lose every packet of the calls that there are."""
        for call in self._calls:
            call.path.broken = True

    async def let_go(self) -> None:
        """Give up the calls to which no client has come."""
        if self._answering:
            await asyncio.wait(self._answering)
        for call in [call for call in self._calls if not call.connected]:
            await call.end()
            self._calls.remove(call)

    async def __aenter__(self) -> Self:
        self._port = await self._stack.enter_async_context(tcp_server(self._serve))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        for call in list(self._calls):
            await call.end()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        method = await reader.readexactly(4)
        if method != b"POST":
            return  # such as the beginnings of TLS
        request = await _read(reader)
        self.requests.append(request)
        if self.status is not None:
            status, headers, body = self.status, self.headers, self.body
        else:
            status, headers, body = 201, {"Content-Type": "application/sdp", **self.headers}, await self._call(request)
        head = {"Content-Length": str(len(body.encode())), "Connection": "close", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        writer.write(f"HTTP/1.1 {status} Said\r\n{lines}\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _call(self, request: CallRequest) -> str:
        if self._late is not None:
            await self._late.wait()
        _, near = through(request.offer, 0)
        path = UdpPath(near, self._drops)
        call = RtcConnection(request, path, self._begin)
        self._calls.append(call)
        offer, _ = through(self._change_offer(request.offer), path.far_port)
        answer, path.far = through(await call.peer.answer(offer), path.near_port)
        return self._change_answer(answer)

    def _begin(self, call: RtcConnection) -> None:
        task = asyncio.get_running_loop().create_task(self._run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, call: RtcConnection) -> None:
        try:
            await self.play(call, ConnectionError)
        finally:
            await call.close()
            self._calls.remove(call)


async def _read(reader: asyncio.StreamReader) -> CallRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    request, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    path = request.split(" ")[0]
    kind = headers["content-type"]
    if kind == "application/sdp":
        return CallRequest(path, headers, body.decode(), None)
    form = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    parts: dict[str, Any] = {}
    for part in form.walk():
        name = part.get_param("name", header="content-disposition")
        if name is not None:
            parts[str(name)] = part.get_payload(decode=True)
    return CallRequest(path, headers, parts["sdp"].decode(), json.loads(parts["session"]))
