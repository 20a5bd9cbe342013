"""One connection as the provider has it: what came, what can be said, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from websockets.asyncio.server import ServerConnection

from .received import Received
from .validation import InvalidMessageError, normalized

__all__ = [
    "AUDIO",
    "PATIENCE",
    "ClientRefusedError",
    "GeminiConnectionEnd",
    "Script",
    "accepting",
    "polite",
    "silent",
]

AUDIO: Final = bytes(range(256)) * 18
"""What is said where nothing else is asked for: 96 ms of PCM16 mono at 24,000 Hz, of every byte value."""

PATIENCE: Final = 30.0
"""Seconds after which a test that waits has failed. Nothing is measured by it."""

Script: TypeAlias = Callable[["GeminiConnectionEnd"], Awaitable[None]]
"""What the provider does on a connection. The connection is closed when it returns."""


class ClientRefusedError(Exception):
    """The client broke the protocol, and the connection was closed: that ends the script."""


class GeminiConnectionEnd(Received):
    """One connection, seen from the provider.

    A script calls `receive` in a loop, and a test may say things beside it.
    """

    def __init__(
        self,
        websocket: ServerConnection,
        *,
        handles: set[str] | None = None,
        api_key: str | None = None,
        binary: bool = True,
    ) -> None:
        super().__init__(set() if handles is None else handles)
        assert websocket.request is not None
        self.headers: Mapping[str, str] = websocket.request.headers
        self.path = websocket.request.path
        self.finished = asyncio.Event()
        """Set once the connection is over and its script has ended."""
        self._websocket = websocket
        self._api_key = api_key
        self._binary = binary
        self._accepts = False
        self._accepted = False
        self._numbers = itertools.count(1)
        self._news = asyncio.Event()

    # What came

    @property
    def close_code(self) -> int | None:
        """How the client closed: 1000 where it said goodbye; None where it has not."""
        return self._websocket.close_code

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until `condition` holds; it is looked at whenever something has come."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"the server waited in vain for {what}") from None

    async def until_set_up(self) -> dict[str, Any]:
        """Wait for the setup; return it."""
        await self.until(lambda: self.setup is not None, "the setup")
        assert self.setup is not None
        return self.setup

    async def until_message(self, count: int = 1) -> str:
        """Wait for so many messages of the user; return the last of them."""
        await self.until(lambda: len(self.messages) >= count, f"{count} messages")
        return self.messages[count - 1]

    async def until_heard(self, size: int) -> bytes:
        """Wait for so many bytes of audio; return all of it."""
        await self.until(lambda: len(self.heard) >= size, f"{size} bytes of audio")
        return self.heard

    async def until_committed(self, count: int = 1) -> None:
        """Wait for so many ends of a turn by hand."""
        await self.until(lambda: self.commits >= count, f"{count} ends of a turn")

    async def until_answered(self, *call_ids: str) -> dict[str, str]:
        """Wait for the outputs of these calls; return all outputs."""
        await self.until(lambda: set(call_ids) <= set(self.outputs), f"outputs of {', '.join(call_ids)}")
        return self.outputs

    async def until_requested(self, count: int = 1) -> None:
        """Wait for so many requests for a response."""
        await self.until(lambda: self.requests >= count, f"{count} requests for a response")

    async def receive(self) -> dict[str, Any]:
        """Take the next message into account, and return it as it came.

        Raises what ends the script when the connection is over. A message that the provider doesn't accept ends it.
        """
        raw = await self._websocket.recv()
        try:
            message = json.loads(raw)
            if not isinstance(message, dict):
                raise InvalidMessageError("A message must be an object.")
            self.take(normalized(message), accepted=self._accepted)
        except (ValueError, InvalidMessageError) as error:
            await self.close(1007, str(error)[:120])
            raise ClientRefusedError(str(error)) from None
        self.received.append(message)
        if self.setup is not None and self._accepts and not self._accepted:
            await self._accept()
        self.tell()
        return message

    def tell(self) -> None:
        """Have everybody who waits look again: something came."""
        self._news.set()
        self._news = asyncio.Event()

    # What is said

    async def accept(self) -> None:
        """Acknowledge the setup, now or when it comes."""
        self._accepts = True
        if self.setup is not None and not self._accepted:
            await self._accept()

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        await self.send_raw(json.dumps(message).encode() if self._binary else json.dumps(message))

    async def send_raw(self, frame: str | bytes) -> None:
        """Send a frame as it is: text, or binary."""
        await self._websocket.send(frame)

    async def send_content(self, **content: Any) -> None:
        """Send `serverContent`."""
        await self.send({"serverContent": content})

    async def speak(self, text: str = "Hello.", audio: bytes = AUDIO, *, chunk: int = 4800) -> None:
        """Begin a spoken turn, or go on with it; nothing says that it ends. The audio is PCM16 at 24,000 Hz."""
        if text:
            await self.send_content(outputTranscription={"text": text})
        for start in range(0, len(audio), chunk):
            data = base64.b64encode(audio[start : start + chunk]).decode()
            part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}
            await self.send_content(modelTurn={"role": "model", "parts": [part]})

    async def finish(self, *, interrupted: bool = False, usage: Mapping[str, Any] | None = None) -> None:
        """End the turn: it is generated and, without waiting for anybody to hear it, complete. It costs tokens."""
        if not interrupted:
            await self.send_content(generationComplete=True)
        await self.send({"serverContent": {"turnComplete": True}, "usageMetadata": usage or self.usage()})

    async def say(self, text: str = "Hello.", audio: bytes = AUDIO) -> None:
        """Say a whole turn."""
        await self.speak(text, audio)
        await self.finish()

    async def write(self, *pieces: str) -> None:
        """Write a whole turn, in pieces of text."""
        for piece in pieces:
            await self.send_content(modelTurn={"role": "model", "parts": [{"text": piece}]})
        await self.finish()

    async def call(self, name: str, arguments: Mapping[str, Any] | str = "{}", call_id: str | None = None) -> str:
        """Call one function; return the call's id."""
        [made] = await self.call_all((name, arguments, call_id))
        return made

    async def call_all(self, *calls: tuple[str, Mapping[str, Any] | str, str | None], usage: bool = False) -> list[str]:
        """Call several functions at once: each a name, arguments, and an id or None for a new one. Return their ids.

        With `usage` it costs tokens.
        """
        told: list[dict[str, Any]] = []
        for name, arguments, call_id in calls:
            args = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
            told.append({"id": call_id or f"function-call-{next(self._numbers)}", "name": name, "args": args})
        riding = {"usageMetadata": self.usage()} if usage else {}
        await self.send({"toolCall": {"functionCalls": told}, **riding})
        return [call["id"] for call in told]

    async def cancel_calls(self, *call_ids: str) -> None:
        """Take calls back."""
        await self.send({"toolCallCancellation": {"ids": list(call_ids)}})

    async def transcribe(self, text: str, *, finished: bool = True) -> None:
        """Tell what the user said, or the next words of it."""
        await self.send_content(inputTranscription={"text": text, **({"finished": True} if finished else {})})

    async def user_interrupts(self) -> None:
        """Tell that the model was interrupted."""
        await self.send_content(interrupted=True)

    async def user_starts_speaking(self, offset: str | None = None) -> None:
        """Tell of voice activity."""
        await self._voice("ACTIVITY_START", offset)

    async def user_stops_speaking(self, offset: str | None = None) -> None:
        """Tell of its end."""
        await self._voice("ACTIVITY_END", offset)

    async def go_away(self, time_left: str = "10s") -> None:
        """Tell that the connection is going to end."""
        await self.send({"goAway": {"timeLeft": time_left}})

    async def resumable(self, handle: str | None = None) -> str:
        """Give a handle with which the session can be taken up; return it."""
        handle = handle or f"handle-{id(self):x}-{next(self._numbers)}"
        self.handles.add(handle)
        await self.send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})
        return handle

    async def not_resumable(self) -> None:
        """Tell that the session can't be taken up as it is now."""
        await self.send({"sessionResumptionUpdate": {"resumable": False}})

    async def strange(self, number: int = 0, text: str = "") -> dict[str, Any]:
        """Send a message of a kind that nobody knows; return it."""
        message = {"somethingNew": {"number": number, "text": text}}
        await self.send(message)
        return message

    @staticmethod
    def usage(prompt: int = 100, response: int = 20) -> dict[str, Any]:
        """Return a `usageMetadata`."""
        return {
            "promptTokenCount": prompt,
            "responseTokenCount": response,
            "totalTokenCount": prompt + response,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": response}],
        }

    # How it ends, and how it is no longer well

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it; what was sent before arrives before."""
        await self._websocket.close(code, reason)
        self.tell()

    def reset(self) -> None:
        """Break it, as a crash would."""
        sock = self._websocket.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._websocket.transport.abort()

    def abort(self) -> None:
        """Break it, and wait for nothing."""
        self._websocket.transport.abort()

    def stall(self) -> None:
        """Stop reading, also what the network has already brought."""
        self._websocket.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._websocket.transport.resume_reading()

    # Below

    async def _accept(self) -> None:
        self._accepted = True
        if self._api_key is not None and self._api_key not in _given_keys(self.headers, self.path):
            await self.close(1007, "API key not valid. Please pass a valid API key.")
            raise ClientRefusedError("a wrong key")
        await self.send({"setupComplete": {}})

    async def _voice(self, kind: str, offset: str | None) -> None:
        told = {"type": kind, **({} if offset is None else {"audioOffset": offset})}
        await self.send({"voiceActivity": told})


def _given_keys(headers: Mapping[str, str], path: str) -> set[str]:
    authorization = headers.get("Authorization", "")
    query = path.partition("?")[2]
    in_query = [pair.partition("=")[2] for pair in query.split("&")]
    return {headers.get("x-goog-api-key", ""), authorization.rpartition(" ")[2], *in_query} - {""}


async def polite(connection: GeminiConnectionEnd) -> None:
    """Do as the provider does: accept the setup, and answer each request, in speech or in text."""
    await connection.accept()
    answered = 0
    while True:
        await connection.receive()
        while connection.requests > answered:
            answered += 1
            setup = connection.setup or {}
            if setup.get("generationConfig", {}).get("responseModalities") == ["TEXT"]:
                await connection.write("Hello.")
            else:
                await connection.say()
            if "sessionResumption" in setup:
                await connection.resumable()


async def accepting(connection: GeminiConnectionEnd) -> None:
    """Accept the setup, and say only what the test says."""
    await connection.accept()
    while True:
        await connection.receive()


async def silent(connection: GeminiConnectionEnd) -> None:
    """Read what comes, and say nothing, not even that the setup is complete."""
    while True:
        await connection.receive()
