"""The official `openai` client. It is the wire and no more: what an application does with it is done here, by hand."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from attrs import define
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeResponse, RealtimeServerEvent
from openai.types.realtime.realtime_session_create_request_param import RealtimeSessionCreateRequestParam

from jackfield_local import LocalServer

from .conversation import INSTRUCTIONS, MODEL, SETTINGS, TOOL_DESCRIPTION, chunks, get_weather
from .observations import AgentSpoke, Failed, Interrupted, Log, ResponseEnded, Speak, ToolRan, UserSaid, beside

__all__ = ["openai_azure", "openai_python"]


@asynccontextmanager
async def _openai(server: LocalServer, log: Log, *, azure: bool) -> AsyncIterator[Speak]:
    base_url = f"{server.azure_endpoint}/openai/v1" if azure else server.http_url
    session: RealtimeSessionCreateRequestParam = {
        "type": "realtime",
        "instructions": INSTRUCTIONS,
        "audio": SETTINGS["audio"],
        "tools": [
            {
                "type": "function",
                "name": "get_weather",
                "description": TOOL_DESCRIPTION,
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            }
        ],
    }
    async with (
        AsyncOpenAI(base_url=base_url, api_key="a-key") as client,
        client.realtime.connect(model=MODEL) as connection,
    ):
        application = _Application(connection, log)

        async def say(pcm: bytes) -> None:
            for chunk in chunks(pcm):
                await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())

        await connection.session.update(session=session)
        async with beside(application.run()):
            yield say


openai_python = partial(_openai, azure=False)
openai_azure = partial(_openai, azure=True)


@define
class _Playback:
    """The answer that plays: since when, and how much of it there is."""

    item_id: str
    content_index: int
    since: float
    received_ms: float = 0.0

    def heard_ms(self) -> int:
        return int(min((time.monotonic() - self.since) * 1000, self.received_ms))


class _Application:
    """Reads the connection's events, runs the tool, and truncates what the user didn't hear."""

    def __init__(self, connection: AsyncRealtimeConnection, log: Log) -> None:
        self._connection = connection
        self._log = log
        self._playback: _Playback | None = None

    async def run(self) -> None:
        async for event in self._connection:
            await self._take(event)

    async def _take(self, event: RealtimeServerEvent) -> None:
        match event.type:
            case "response.output_audio.delta":
                pcm = base64.b64decode(event.delta)
                if self._playback is None or self._playback.item_id != event.item_id:
                    self._playback = _Playback(event.item_id, event.content_index, time.monotonic())
                self._playback.received_ms += len(pcm) / 48
                self._log.add(AgentSpoke(event.response_id, pcm))
            case "input_audio_buffer.speech_started":
                await self._interrupt()
            case "conversation.item.input_audio_transcription.completed":
                self._log.add(UserSaid(event.transcript))
            case "response.done":
                await self._finish(event.response)
            case "error":
                self._log.add(Failed(event.error.message))

    async def _interrupt(self) -> None:
        playback, self._playback = self._playback, None
        if playback is not None and playback.heard_ms() < playback.received_ms:
            self._log.add(Interrupted())
            await self._connection.conversation.item.truncate(
                item_id=playback.item_id, content_index=playback.content_index, audio_end_ms=playback.heard_ms()
            )

    async def _finish(self, response: RealtimeResponse) -> None:
        said = ""
        calls = []
        for item in response.output or []:
            if item.type == "function_call":
                calls.append(item)
            elif item.type == "message" and item.role == "assistant":
                said += "".join(part.transcript or "" for part in item.content)
        self._log.add(ResponseEnded(response.id or "", said))
        for call in calls:
            arguments = json.loads(call.arguments)
            self._log.add(ToolRan(call.name or "", arguments))
            await self._connection.conversation.item.create(
                item={
                    "type": "function_call_output",
                    "call_id": call.call_id or "",
                    "output": get_weather(**arguments),
                }
            )
        if calls:
            await self._connection.response.create()
