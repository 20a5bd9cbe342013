"""One connection, translated both ways: a client that speaks Gemini Live, a server that speaks OpenAI Realtime."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from jackfield.audio import PCM16, PlaybackLedger, Resampler
from jackfield_gemini.testing import GeminiConnectionEnd

from .translation import (
    function_calls,
    function_outputs,
    interrupts,
    session_changes,
    session_of,
    turn_items,
    usage_metadata,
)

__all__ = ["Bridge"]

logger = logging.getLogger("jackfield.gemini.stand_in")

_LIBRARY: Final = logging.getLogger("jackfield.gemini.library")
_SILENCE: Final = PCM16.silence(1500)
"""What ends a turn by itself, for a client that ends its stream."""


class Bridge:
    """One client, and the connection behind it."""

    def __init__(self, client: GeminiConnectionEnd, url: str, api_key: str) -> None:
        self._client = client
        self._url = url
        self._api_key = api_key
        self._server: ClientConnection
        self._resampler: Resampler | None = None
        self._ledger = PlaybackLedger(asyncio.get_running_loop().time)
        """What the client plays, in real time: the protocol has no word for how far it has come."""
        self._responding: str | None = None
        self._cut: set[str] = set()
        """Responses that were interrupted: what still comes of them is dropped."""
        self._create_next = False
        self._set_up = asyncio.Event()

    async def run(self) -> None:
        """Translate until one of the two closes."""
        try:
            await self._client.receive()
            headers = {"Authorization": f"Bearer {self._api_key}"}
            async with connect(
                self._url, additional_headers=headers, proxy=None, max_size=None, compression=None, logger=_LIBRARY
            ) as self._server:
                await self._both()
        except (OSError, WebSocketException) as error:
            if not isinstance(error, ConnectionClosed):
                logger.warning("there is no server behind the stand-in: %s", type(error).__name__)
                await self._client.close(1011, "there is no server behind this one")

    async def _both(self) -> None:
        """Run both directions, until one is at its end."""
        halves = [asyncio.create_task(half) for half in (self._from_client(), self._from_server())]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in halves:
                half.cancel()
            results = await asyncio.gather(*halves, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, ConnectionClosed):
                raise result

    # From the client

    async def _from_client(self) -> None:
        setup = await self._client.until_set_up()
        await self._tell({"type": "session.update", "session": session_of(setup)})
        await self._set_up.wait()
        await self._client.accept()
        while True:
            message = await self._client.receive()
            for kind, inner in message.items():
                take = self._takers.get(kind)
                if take is not None:
                    await take(self, inner)

    async def _content(self, told: Mapping[str, Any]) -> None:
        await self._stop_speaking()
        for turn in told.get("turns", []):
            await self._tell({"type": "conversation.item.create", "item": turn_items(turn)})
        if told.get("turnComplete"):
            await self._respond()

    async def _realtime(self, told: Mapping[str, Any]) -> None:
        if "audio" in told:
            rate = int(told["audio"]["mimeType"].partition("rate=")[2] or 16_000)
            if self._resampler is None or self._resampler.in_rate != rate:
                self._resampler = Resampler(rate, PCM16.rate)
            await self._append(self._resampler.process(base64.b64decode(told["audio"]["data"])))
        if "text" in told:
            await self._content({"turns": [{"parts": [{"text": told["text"]}]}], "turnComplete": True})
        if "video" in told:
            item = turn_items({"parts": [{"inlineData": told["video"]}]})
            await self._tell({"type": "conversation.item.create", "item": item})
        if "activityStart" in told:
            await self._stop_speaking()
        if "activityEnd" in told:
            await self._append(b"" if self._resampler is None else self._resampler.flush())
            await self._tell({"type": "input_audio_buffer.commit"})
            await self._respond()
        if told.get("audioStreamEnd"):
            await self._append((b"" if self._resampler is None else self._resampler.flush()) + _SILENCE)

    async def _answers(self, told: Mapping[str, Any]) -> None:
        for item in function_outputs(told.get("functionResponses", [])):
            await self._tell({"type": "conversation.item.create", "item": item})
        await self._respond()

    async def _update(self, told: Mapping[str, Any]) -> None:
        await self._tell({"type": "session.update", "session": {"type": "realtime", **session_changes(told)}})

    _takers: Final[Mapping[str, Callable[[Bridge, Any], Coroutine[Any, Any, None]]]] = {
        "clientContent": _content,
        "realtimeInput": _realtime,
        "toolResponse": _answers,
        "contextUpdate": _update,
    }

    async def _append(self, pcm: bytes) -> None:
        if pcm:
            await self._tell({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})

    async def _respond(self) -> None:
        """Ask for a response, once the one that is active has ended."""
        if self._responding is None:
            await self._tell({"type": "response.create"})
        else:
            self._create_next = True

    async def _stop_speaking(self) -> None:
        """Something of the client's interrupts what is said."""
        if self._responding is not None and self._responding not in self._cut:
            await self._tell({"type": "response.cancel"})
        await self._interrupted()

    async def _interrupted(self) -> None:
        """Say that what was said, or is still played, is interrupted; and tell the server how much was heard."""
        parts = self._ledger.audible()
        self._ledger.cut(parts)
        generating = self._responding is not None and self._responding not in self._cut
        if generating and self._responding is not None:
            self._cut.add(self._responding)
        if generating or parts:
            await self._client.user_interrupts()
        for part in parts:
            await self._tell(
                {
                    "type": "conversation.item.truncate",
                    "item_id": part.item_id,
                    "content_index": part.content_index,
                    "audio_end_ms": part.audio_end_ms,
                }
            )

    async def _tell(self, event: Mapping[str, Any]) -> None:
        await self._server.send(json.dumps(event))

    # From the server

    async def _from_server(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._server:
                await self._hear(json.loads(frame))
        code = self._server.close_code or 1011
        await self._client.close(1000 if code == 1000 else 1011, "the server behind this one closed")

    async def _hear(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "session.updated":
                self._set_up.set()
            case "error":
                await self._failed(event.get("error", {}))
            case "response.created":
                self._responding = event["response"]["id"]
            case "response.output_audio.delta" if event["response_id"] not in self._cut:
                await self._audio(event)
            case "response.output_audio_transcript.delta" if event["response_id"] not in self._cut:
                if "outputAudioTranscription" in (self._client.setup or {}):
                    await self._client.send_content(outputTranscription={"text": event["delta"]})
            case "response.output_text.delta" if event["response_id"] not in self._cut:
                await self._client.send_content(modelTurn={"role": "model", "parts": [{"text": event["delta"]}]})
            case "response.output_audio.done":
                self._ledger.done(event["item_id"], event["content_index"])
            case "response.done":
                await self._done(event["response"])
            case "conversation.item.input_audio_transcription.completed":
                await self._client.transcribe(event["transcript"])
            case "input_audio_buffer.speech_started":
                await self._client.user_starts_speaking(f"{event['audio_start_ms'] / 1000}s")
                if interrupts(self._client.setup or {}):
                    await self._interrupted()
            case "input_audio_buffer.speech_stopped":
                await self._client.user_stops_speaking(f"{event['audio_end_ms'] / 1000}s")

    async def _audio(self, event: Mapping[str, Any]) -> None:
        size = len(event["delta"]) * 3 // 4
        self._ledger.received(event["response_id"], event["item_id"], event["content_index"], size)
        part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": event["delta"]}}
        await self._client.send_content(modelTurn={"role": "model", "parts": [part]})

    async def _done(self, response: Mapping[str, Any]) -> None:
        response_id = response.get("id", "")
        self._responding = None
        self._ledger.response_done(response_id)
        calls = function_calls(response)
        usage = usage_metadata(response)
        riding = {} if usage is None else {"usageMetadata": usage}
        if response_id in self._cut:
            self._cut.discard(response_id)
            await self._client.send({"serverContent": {"turnComplete": True}, **riding})
        elif calls:
            await self._client.send({"toolCall": {"functionCalls": calls}, **riding})
        else:
            await self._client.send_content(generationComplete=True)
            await self._client.send({"serverContent": {"turnComplete": True}, **riding})
        if self._create_next:
            self._create_next = False
            await self._tell({"type": "response.create"})

    async def _failed(self, error: Mapping[str, Any]) -> None:
        """A refused setup ends the connection, as every refusal does here; later ones are races of ours."""
        message = str(error.get("message", "it was refused"))
        if not self._set_up.is_set():
            await self._client.close(1007, message[:120])
            return
        if error.get("code") == "conversation_already_has_active_response":
            self._create_next = True  # its own turn detection was first: what was asked for follows that
        logger.debug("the server behind refused something: %s", message)
