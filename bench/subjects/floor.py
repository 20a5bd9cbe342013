"""The floor: receive with `websockets`, parse with `json`, decode with `base64`, and nothing else.

Where the user speaks it truncates at once, without a look at how much was heard.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect

from .base import truncation

TITLE = "floor: websockets + json + base64"


def missing() -> str | None:
    return None


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[_Connection]:
    async with websockets_connect(url, compression=None, max_size=None) as socket:
        await socket.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
        async for message in socket:
            if json.loads(message)["type"] == "session.updated":
                break
        yield _Connection(socket)


class _Connection:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, chunk: bytes) -> None:
        audio = base64.b64encode(chunk).decode()
        await self._socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    async def follow(self, turns: int, hear: Callable[[bytes], object], mark: Callable[[], object]) -> None:
        item_id = None
        async for message in self._socket:
            event = json.loads(message)
            kind = event["type"]
            if kind == "response.output_audio.delta":
                item_id = event["item_id"]
                hear(base64.b64decode(event["delta"]))
            elif kind == "response.done":
                mark()
                turns -= 1
                if not turns:
                    break
            elif kind == "input_audio_buffer.speech_started" and item_id:
                await self._socket.send(json.dumps(truncation(item_id)))
