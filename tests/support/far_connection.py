"""One connection as a scripted far end has it, whatever carries it: what came, what can be said, and how it ends.

It is polite by default: it opens a session, acknowledges updates, and answers `response.create` with a spoken turn.
The ends themselves are in `far_end` (WebSockets) and `rtc_far_end` (WebRTC).
"""

from __future__ import annotations

import abc
import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

__all__ = ["AUDIO", "PATIENCE", "FarConnection", "Script", "ScriptedEnd", "polite"]

AUDIO = bytes(range(256)) * 18
"""What the polite far end says: 96 ms of PCM16 at 24,000 Hz, of every byte value."""

PATIENCE = 30.0
"""Seconds after which a test that waits has failed. Nothing is measured by it."""

Script = Callable[["FarConnection"], Awaitable[None]]
C = TypeVar("C", bound="FarConnection")


class FarConnection(abc.ABC):
    """One connection, seen from the far end."""

    given_config: dict[str, Any] | None = None
    """The session that came with the handshake; None where it is still to come as an event."""
    close_code: int | None = None
    """How the near end closed; None where it has not."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.finished = asyncio.Event()
        self._ids = itertools.count(1)
        self._commits: list[int] = []
        self._news = asyncio.Event()

    # What came

    @property
    @abc.abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Those of the handshake."""

    @property
    @abc.abstractmethod
    def heard(self) -> bytes:
        """The user's audio so far; where it comes as sound, without the silence."""

    def types(self) -> list[str]:
        return [event["type"] for event in self.received]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["type"] == kind]

    def turns(self) -> list[bytes]:
        """Return the user's audio, cut where it was committed."""
        heard = self.heard
        return [heard[start:end] for start, end in itertools.pairwise([0, *self._commits])]

    async def expect(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until `count` events of this type have come; return the last of them."""
        await self._until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def hear(self, size: int) -> bytes:
        """Wait until that many bytes of audio have come; return all of it."""
        await self._until(lambda: len(self.heard) >= size)
        return self.heard

    async def receive(self) -> dict[str, Any]:
        """Receive the next event and record it. Raises what ends the script when the connection is over."""
        event: dict[str, Any] = json.loads(await self._next())
        self.received.append(event)
        if event["type"] == "input_audio_buffer.commit":
            self._commits.append(len(self.heard))
        self._tell()
        return event

    # What is said

    async def send(self, *events: dict[str, Any]) -> None:
        """Send events, with ids of their own where they have none."""
        for event in events:
            await self.send_text(json.dumps({"event_id": f"event_{next(self._ids)}", **event}))

    @abc.abstractmethod
    async def send_text(self, text: str) -> None: ...

    @abc.abstractmethod
    async def send_binary(self, data: bytes) -> None: ...

    async def open_session(self, **session: Any) -> None:
        shape = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime", **session}
        await self.send({"type": "session.created", "session": shape})

    async def take_config(self) -> dict[str, Any]:
        """Return the initial config, however it comes, without acknowledging it."""
        if self.given_config is not None:
            return self.given_config
        await self.open_session()
        event = await self.receive()
        assert event["type"] == "session.update"
        session: dict[str, Any] = event["session"]
        return session

    async def configured(self) -> dict[str, Any]:
        """Wait, beside the script, until the initial config is there; return it."""
        if self.given_config is not None:
            return self.given_config
        session: dict[str, Any] = (await self.expect("session.update"))["session"]
        return session

    async def acknowledge(self) -> None:
        """Acknowledge the initial config."""
        if self.given_config is not None:
            await self.open_session(**self.given_config)
        else:
            await self.send({"type": "session.updated", "session": self.of("session.update")[0]["session"]})

    async def speak(self, audio: bytes = AUDIO, *, response_id: str = "resp_1", chunk: int = 1200) -> None:
        """Begin a spoken response: nothing says that it ends."""
        response = {"id": response_id, "object": "realtime.response", "status": "in_progress", "output": []}
        await self.send({"type": "response.created", "response": {**response, "conversation_id": "conv_1"}})
        await self.send(
            {
                "type": "response.output_item.added",
                "response_id": response_id,
                "output_index": 0,
                "item": _item(response_id),
            },
            {"type": "response.output_audio_transcript.delta", "delta": "Hello.", **_place(response_id)},
        )
        await self._send_audio(audio, response_id, chunk)

    async def say(self, audio: bytes = AUDIO, *, response_id: str = "resp_1", chunk: int = 1200) -> None:
        """Say a whole spoken response."""
        await self.speak(audio, response_id=response_id, chunk=chunk)
        await self.send({"type": "response.output_audio.done", **_place(response_id)})
        content = [{"type": "output_audio", "transcript": "Hello."}]
        output = [{**_item(response_id), "status": "completed", "content": content}]
        response = {"id": response_id, "object": "realtime.response", "conversation_id": "conv_1"}
        await self.send({"type": "response.done", "response": {**response, "status": "completed", "output": output}})

    # How it ends, and how it is no longer well

    @abc.abstractmethod
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, with code and reason where there are such; what was sent before arrives before."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Break it, as a crash would."""

    @abc.abstractmethod
    def stall(self) -> None:
        """Stop reading, also what the network has already brought."""

    @abc.abstractmethod
    def resume(self) -> None:
        """Read again."""

    @abc.abstractmethod
    async def _next(self) -> str | bytes: ...

    @abc.abstractmethod
    async def _send_audio(self, audio: bytes, response_id: str, chunk: int) -> None: ...

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class ScriptedEnd(Generic[C]):
    """What all far ends have in common: a script, and the connections that it plays on."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections: list[C] = []
        self._connected = asyncio.Condition()

    async def connection(self, number: int = 0) -> C:
        """Wait for the connection of that number."""
        async with asyncio.timeout(PATIENCE), self._connected:
            await self._connected.wait_for(lambda: len(self.connections) > number)
        return self.connections[number]

    async def let_go(self) -> None:
        """Give up what is half-made and that no goodbye can reach; where connecting is TCP's affair, there is none."""

    async def _play(self, connection: C, gone: type[Exception]) -> None:
        async with self._connected:
            self.connections.append(connection)
            self._connected.notify_all()
        try:
            await self.script(connection)
        except gone:
            pass  # the near end went away, which ends every script
        finally:
            connection.finished.set()


async def polite(connection: FarConnection) -> None:
    """Do as the API does, as far as a transport sees it."""
    await connection.open_session()
    numbers = itertools.count(1)
    while True:
        event = await connection.receive()
        if event["type"] == "session.update":
            await connection.send({"type": "session.updated", "session": {"id": "sess_1", **event["session"]}})
        elif event["type"] == "response.create":
            await connection.say(response_id=f"resp_{next(numbers)}")


def _item(response_id: str) -> dict[str, Any]:
    return {"id": f"item_of_{response_id}", "type": "message", "role": "assistant", "status": "in_progress"}


def _place(response_id: str) -> dict[str, Any]:
    return {
        "response_id": response_id,
        "item_id": f"item_of_{response_id}",
        "output_index": 0,
        "content_index": 0,
    }
