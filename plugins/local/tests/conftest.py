"""What the tests of the engine and of the server share: a driver for the engine, a client, and synthetic sounds."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import typing
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pydantic
import pytest
from openai.types.realtime import RealtimeServerEvent
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from jackfield_local import Call, LocalServer, Reply, ResponseContext, Say
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.ids import IdSource
from jackfield_local.engine.outbox import Effect, Recognize, Respond
from jackfield_local.engine.response import Response


def _event_types() -> dict[str, pydantic.TypeAdapter[Any]]:
    union = typing.get_args(RealtimeServerEvent)[0]
    return {
        typing.get_args(model.model_fields["type"].annotation)[0].strip(): pydantic.TypeAdapter(model)
        for model in typing.get_args(union)
    }


_ADAPTERS = _event_types()


def assert_valid(event: dict[str, Any]) -> None:
    """Fail unless the official client's own types take the event."""
    _ADAPTERS[event["type"]].validate_python(event)
    assert event["event_id"].startswith("event_")


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def speech(ms: int, *, loudness: int = 8000) -> bytes:
    """A voice-like hum that falls at its end, as PCM16 at 24 kHz."""
    samples = np.arange(ms * 24)
    wave = np.sin(samples * 2 * np.pi * 180 / 24000) + 0.4 * np.sin(samples * 2 * np.pi * 900 / 24000)
    fall = np.clip((ms * 24 - samples) / (24 * 150), 0.35, 1.0)
    return (wave * fall * loudness / 1.4).astype("<i2").tobytes()


def silence(ms: int) -> bytes:
    return bytes(ms * 48)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class EngineDriver:
    """Feeds an engine client events, checks every event that comes out, and plays the parts that effects ask for."""

    def __init__(self, **options: Any) -> None:
        self.now = 1000.0
        self.engine = Engine(ids=IdSource(7), clock=lambda: self.now, **options)
        self.effects: list[Effect] = []
        self.all: list[dict[str, Any]] = []
        self.created = self.take()

    def take(self) -> list[dict[str, Any]]:
        events = self.engine.take_events()
        for event in events:
            assert_valid(event)
        self.all += events
        self.effects += self.engine.take_effects()
        return events

    def send(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        self.engine.receive(json.dumps({"type": kind, **fields}))
        return self.take()

    def frame(self, frame: str | bytes) -> list[dict[str, Any]]:
        self.engine.receive(frame)
        return self.take()

    def update(self, **session: Any) -> list[dict[str, Any]]:
        return self.send("session.update", session={"type": "realtime", **session})

    def hear(self, pcm: bytes, *, chunk_ms: int = 20) -> list[dict[str, Any]]:
        step = chunk_ms * 48
        events = []
        for start in range(0, len(pcm), step):
            events += self.send("input_audio_buffer.append", audio=b64(pcm[start : start + step]))
        return events

    def text(self, text: str, **fields: Any) -> str:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        events = self.send("conversation.item.create", item=item, **fields)
        return typing.cast(str, events[0]["item"]["id"])

    def respond(self, **response: Any) -> tuple[Response, list[dict[str, Any]]]:
        events = self.send("response.create", response=response) if response else self.send("response.create")
        return self.response(), events

    def response(self) -> Response:
        """The response that is to be produced, as asked for last."""
        return next(effect.response for effect in reversed(self.effects) if isinstance(effect, Respond))

    def effects_of(self, kind: type[Any]) -> list[Any]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def recognized(self, text: str) -> list[dict[str, Any]]:
        heard = self.effects_of(Recognize)[-1]
        self.engine.recognized(heard.item_id, text)
        return self.take()

    def speak(self, response: Response, text: str = "Hello.", ms: int = 300) -> list[dict[str, Any]]:
        """Write a spoken message and leave it open."""
        response.open_message()
        response.write_text(text)
        self.engine.audible(response)
        response.write_audio(speech(ms))
        return self.take()

    def finish(self, response: Response, *args: Any, **fields: Any) -> list[dict[str, Any]]:
        self.engine.finish(response, *(args or ("completed",)), **fields)
        return self.take()

    def say(self, text: str = "Hello.", ms: int = 300) -> str:
        """Have one whole spoken response and return the id of its item."""
        response, _ = self.respond()
        self.speak(response, text, ms)
        response.close_message()
        done = self.finish(response)
        return typing.cast(str, done[-2]["response"]["output"][0]["id"])

    def error(self, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The error that is all of `events`."""
        assert kinds(events) == ["error"]
        error = events[0]["error"]
        assert set(error) == {"type", "code", "message", "param", "event_id"}
        return typing.cast(dict[str, Any], error)


class StubResponder:
    """Calls the first tool when the user has spoken, and otherwise says what it was told to."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers) or ["Hello there. How can I help you today?"]
        self.contexts: list[ResponseContext] = []

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return ["What is the weather in Paris", "thank you"]

    async def respond(self, context: ResponseContext) -> Reply:
        self.contexts.append(context)
        if context.tools and context.tool_choice != "none" and context.items[-1]["type"] == "message":
            return [Call(context.tools[0]["name"], {"city": "Paris"})]
        return [Say(self.answers[(len(self.contexts) - 1) % len(self.answers)])]


class Client:
    """A WebSocket client that checks every event it gets."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            event = json.loads(await self.socket.recv())
        assert_valid(event)
        self.events.append(event)
        return typing.cast(dict[str, Any], event)

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event = await self.next()
            if event["type"] == kind:
                return event

    async def rest(self) -> list[dict[str, Any]]:
        """Read until the server closes."""
        start = len(self.events)
        with contextlib.suppress(ConnectionClosedError):
            async with asyncio.timeout(20):
                async for message in self.socket:
                    self.events.append(json.loads(message))
        return self.events[start:]

    async def update(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session={"type": "realtime", **session})
        return await self.until("session.updated")

    async def say(self, pcm: bytes, *, chunk: int = 1920) -> None:
        for start in range(0, len(pcm), chunk):
            await self.send("input_audio_buffer.append", audio=b64(pcm[start : start + chunk]))

    async def text(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def audio(self) -> bytes:
        return b"".join(base64.b64decode(event["delta"]) for event in self.of("response.output_audio.delta"))


@asynccontextmanager
async def dial(url: str, *, key: str | None = "test-key", **options: Any) -> AsyncIterator[Client]:
    headers = dict(options.pop("additional_headers", {}))
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    async with connect(url, additional_headers=headers, max_size=None, **options) as socket:
        yield Client(socket)


@asynccontextmanager
async def local_server(**options: Any) -> AsyncIterator[LocalServer]:
    """A server without the speech extras, as fast as possible."""
    defaults: dict[str, Any] = {"responder": StubResponder(), "recognizer": None, "synthesizer": None, "pace": 0}
    async with LocalServer(**{**defaults, **options}) as server:
        yield server


# The modules of this directory can't import one another, so helpers are handed out as fixtures.


@pytest.fixture
def driver() -> EngineDriver:
    return EngineDriver()


@pytest.fixture(name="make_driver", scope="session")
def make_driver_fixture() -> type[EngineDriver]:
    return EngineDriver


@pytest.fixture(name="kinds", scope="session")
def kinds_fixture() -> Callable[..., list[str]]:
    return kinds


@pytest.fixture(name="speech", scope="session")
def speech_fixture() -> Callable[..., bytes]:
    return speech


@pytest.fixture(name="silence", scope="session")
def silence_fixture() -> Callable[..., bytes]:
    return silence


@pytest.fixture(name="b64", scope="session")
def b64_fixture() -> Callable[[bytes], str]:
    return b64


@pytest.fixture(name="assert_valid", scope="session")
def assert_valid_fixture() -> Callable[[dict[str, Any]], None]:
    return assert_valid


@pytest.fixture(name="dial", scope="session")
def dial_fixture() -> Callable[..., Any]:
    return dial


@pytest.fixture(name="local_server", scope="session")
def local_server_fixture() -> Callable[..., Any]:
    return local_server


@pytest.fixture(name="StubResponder", scope="session")
def stub_responder_fixture() -> type[StubResponder]:
    return StubResponder
