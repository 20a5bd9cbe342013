"""jackfield at both ends: its webrtc transport, and the peer that its local server answers with.

A mouth that isn't idle is, at the far end, one response without an end, so that all of it is `audio` events.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from bench.frames import Workload, conversation_frames, session_frames

if TYPE_CHECKING:
    from aiortc import RTCDataChannel, RTCPeerConnection

    from .talk import Ear, Mouth

TITLE = "jackfield"
SAID_HZ = HEARD_HZ = 24_000

_CHUNK_SECONDS: Final = 0.02
_BEFORE_AUDIO: Final = ("response.created", "response.output_item.added", "response.content_part.added")


def missing() -> str | None:
    try:
        from jackfield import create_transport

        create_transport("webrtc")
    except Exception as error:  # whatever it is, this kind can't be measured, and the table says why
        return f"{type(error).__name__}: {error}"
    return None


async def dial(url: str, mouth: Mouth, ear: Ear) -> _Caller:
    from jackfield import create_transport

    transport = create_transport("webrtc")
    transport.on("audio", lambda event: ear.hear(event.data))
    await transport.connect(url=url, api_key="bench", initial_session_config={"instructions": "Be brief."})
    return _Caller(transport, mouth)


async def answer(offer: str, mouth: Mouth, ear: Ear) -> tuple[str, _Callee]:
    from jackfield_transports.webrtc.media import max_message_size

    call = _Callee(mouth, ear, max_message_size(offer))
    return await call.peer.answer(offer), call


class _Caller:
    def __init__(self, transport: Any, mouth: Mouth) -> None:
        self._transport = transport
        self._speaking = None if mouth.idle else asyncio.create_task(self._speak(mouth))

    @property
    def connection(self) -> RTCPeerConnection:
        connection: RTCPeerConnection = self._transport.peer_connection
        return connection

    async def close(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
        await self._transport.close()

    async def _speak(self, mouth: Mouth) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while (chunk := mouth.chunk()) is not None:
            await self._transport.send_audio(chunk)
            due += _CHUNK_SECONDS
            await asyncio.sleep(due - clock())


class _Callee:
    def __init__(self, mouth: Mouth, ear: Ear, max_message_size: int) -> None:
        from jackfield_transports.webrtc.media import AudioPeer

        self.peer = AudioPeer(source=mouth.chunk, sink=ear.hear, local_only=True)
        self.peer.connection.on("datachannel", self._greet)
        self._max_message_size = max_message_size
        self._responds = not mouth.idle

    @property
    def connection(self) -> RTCPeerConnection:
        return self.peer.connection

    async def close(self) -> None:
        await self.peer.close()

    def _greet(self, channel: RTCDataChannel) -> None:
        from jackfield_transports.webrtc.media import DataChannelPort

        port = DataChannelPort(channel, self._max_message_size)
        for frame in [session_frames()[0], *(_response() if self._responds else ())]:
            port.send_now(frame)


def _response() -> list[str]:
    """What is told of a response until its audio begins."""
    frames = [json.loads(frame) for frame in conversation_frames(Workload("call", "", 1, 1))]
    told = [frame for frame in frames if frame["type"] in _BEFORE_AUDIO]
    started = {
        "type": "output_audio_buffer.started",
        "event_id": "event_started",
        "response_id": told[0]["response"]["id"],
    }
    return [json.dumps(event) for event in [*told, started]]
