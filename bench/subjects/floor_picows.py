"""The floor on a Cython wire: as `floor`, with `picows` in the place of `websockets`."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from .base import truncation

if TYPE_CHECKING:
    from picows import WSTransport

TITLE = "floor on picows + json + base64"


def missing() -> str | None:
    return None if importlib.util.find_spec("picows") else "picows is not installed"


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[_Connection]:
    import picows

    connection = _Connection()

    class Listener(picows.WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.TEXT:
                connection.receive(frame.get_payload_as_utf8_text())

    transport, _ = await picows.ws_connect(Listener, url)
    send = transport.send
    connection.write = lambda event: send(picows.WSMsgType.TEXT, json.dumps(event).encode())
    connection.write({"type": "session.update", "session": {"type": "realtime"}})
    await connection.ready.wait()
    try:
        yield connection
    finally:
        transport.disconnect()
        await transport.wait_disconnected()


class _Connection:
    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.write: Callable[[dict[str, Any]], None] = lambda event: None
        self._done = asyncio.Event()
        self._hear: Callable[[bytes], object] = lambda audio: None
        self._mark: Callable[[], object] = lambda: None
        self._turns = 0
        self._item_id = ""

    def receive(self, message: str) -> None:
        event = json.loads(message)
        kind = event["type"]
        if kind == "response.output_audio.delta":
            self._item_id = event["item_id"]
            self._hear(base64.b64decode(event["delta"]))
        elif kind == "response.done":
            self._mark()
            self._turns -= 1
            if not self._turns:
                self._done.set()
        elif kind == "input_audio_buffer.speech_started" and self._item_id:
            self.write(truncation(self._item_id))
        elif kind == "session.updated":
            self.ready.set()

    async def send(self, chunk: bytes) -> None:
        self.write({"type": "input_audio_buffer.append", "audio": base64.b64encode(chunk).decode()})

    async def follow(self, turns: int, hear: Callable[[bytes], object], mark: Callable[[], object]) -> None:
        self._turns, self._hear, self._mark = turns, hear, mark
        await self._done.wait()
