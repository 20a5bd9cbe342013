"""A wire without a socket: the test is the far end, event by event, and nothing depends on time.

`MemoryWire` is what a transport dials; each dial is a `FarEnd` in the test's hands. The functions below it are the
server events of whole turns, in the order in which the provider sends them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from jackfield import RealtimeAgent, RealtimeSession, TransportCapabilities
from jackfield.errors import RemoteClosedError
from jackfield.openai import OpenAIRealtimeTransport
from jackfield.transport import ConnectOptions

__all__ = [
    "AUDIO",
    "FarEnd",
    "MemoryWire",
    "call_turn",
    "memory_transport",
    "open_session",
    "output",
    "outputs",
    "read_until",
    "response_done",
    "rest",
    "speaking",
    "spoken_turn",
    "text_turn",
    "truncations",
    "user_item",
]

Event = dict[str, Any]

AUDIO = bytes(range(240)) * 20
"""100 ms of PCM16 at 24,000 Hz."""

PATIENCE = 30.0
"""Seconds after which a test that waits has failed. Nothing is measured by it."""


class MemoryWire:
    """Dials the test. `refusal` is raised by every dial while it is set; `polite` far ends acknowledge updates."""

    def __init__(self, *, polite: bool = True, refusal: Exception | None = None) -> None:
        self.polite = polite
        self.refusal = refusal
        self.far_ends: list[FarEnd] = []
        self._dialled = asyncio.Event()

    async def open(self, options: ConnectOptions) -> _NearEnd:
        if self.refusal is not None:
            raise self.refusal
        far = FarEnd(options, polite=self.polite)
        self.far_ends.append(far)
        self._dialled.set()
        return _NearEnd(far)

    async def dialled(self) -> FarEnd:
        """Wait for the first dial and return its far end."""
        async with asyncio.timeout(PATIENCE):
            await self._dialled.wait()
        return self.far_ends[0]


class FarEnd:
    """The provider's side of one connection."""

    def __init__(self, options: ConnectOptions, *, polite: bool) -> None:
        self.options = options
        """What the connection was asked for with."""
        self.frames: list[Event] = []
        """All client events so far."""
        self.gone = asyncio.Event()
        """Set once the near end has closed."""
        self._polite = polite
        self._taken: set[int] = set()
        self._news = asyncio.Event()
        self._inbox: asyncio.Queue[bytes | RemoteClosedError] = asyncio.Queue()
        self._idle = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ended: RemoteClosedError | None = None
        self.send({"type": "session.created", "session": {"id": "sess_1", "type": "realtime"}})

    @property
    def types(self) -> list[str]:
        """The types of all client events so far."""
        return [frame["type"] for frame in self.frames]

    def send(self, *events: Event) -> None:
        """Send server events."""
        for event in events:
            self.send_frame(json.dumps(event).encode())

    def send_frame(self, frame: bytes) -> None:
        """Send a frame as it is."""
        self._idle.clear()
        self._inbox.put_nowait(frame)

    async def received(self, kind: str) -> Event:
        """Wait for a client event of type `kind` that was not asked for before; return the first."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for number, frame in enumerate(self.frames):
                    if frame["type"] == kind and number not in self._taken:
                        self._taken.add(number)
                        return frame
                self._news.clear()
                await self._news.wait()

    async def heard(self) -> None:
        """Wait until the near end has dealt with everything that was sent."""
        async with asyncio.timeout(PATIENCE):
            await self._idle.wait()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, after what was sent."""
        self._end(RemoteClosedError(f"closed with {code}", code=code, reason=reason, clean=code == 1000))

    def lose(self) -> None:
        """Drop the connection without a word."""
        self._end(RemoteClosedError("connection lost", code=1006, reason=""))

    def stall(self) -> None:
        """Accept nothing until `flow`."""
        self._flowing.clear()

    def flow(self) -> None:
        """Accept client events again."""
        self._flowing.set()

    def _end(self, end: RemoteClosedError) -> None:
        self._inbox.put_nowait(end)
        self._ended = end
        self._flowing.set()

    async def take(self, frame: bytes) -> None:
        await self._flowing.wait()
        if self._ended is not None:
            raise self._ended
        event = json.loads(frame)
        self.frames.append(event)
        self._news.set()
        if self._polite and event["type"] == "session.update":
            self.send({"type": "session.updated", "session": event["session"]})

    async def give(self) -> bytes:
        if self._inbox.empty():
            self._idle.set()
        frame = await self._inbox.get()
        if isinstance(frame, RemoteClosedError):
            self._idle.set()
            raise frame
        return frame


class _NearEnd:
    """The connection as the transport has it."""

    def __init__(self, far: FarEnd) -> None:
        self._far = far

    @property
    def secrets(self) -> Sequence[str]:
        return ()

    async def send(self, frame: bytes) -> None:
        await self._far.take(frame)

    async def receive(self) -> bytes:
        return await self._far.give()

    async def close(self) -> None:
        self._far.gone.set()


def memory_transport(wire: MemoryWire, **capabilities: Any) -> OpenAIRealtimeTransport:
    """Return a transport over `wire`."""
    return OpenAIRealtimeTransport(
        wire, name="memory", capabilities=TransportCapabilities(**{"attach_by_call_id": True, **capabilities})
    )


@contextlib.asynccontextmanager
async def open_session(
    agent: RealtimeAgent | None = None, **options: Any
) -> AsyncIterator[tuple[RealtimeSession, FarEnd]]:
    """Run a session; what it said first (the initial `session.update`) was received already."""
    wire = MemoryWire()
    session = RealtimeSession(agent or RealtimeAgent("Greeter"), transport=memory_transport(wire), **options)
    async with session:
        far = await wire.dialled()
        await far.received("session.update")
        await far.heard()
        yield session, far


async def read_until(session: Any, wanted: str | Callable[[Any], bool]) -> list[Any]:
    """Read the stream up to and including the event of that type, or of which `wanted` is true."""
    seen = []
    async with asyncio.timeout(PATIENCE):
        async for event in session:
            seen.append(event)
            if event.type == wanted if isinstance(wanted, str) else wanted(event):
                return seen
    raise AssertionError(f"the stream ended before {wanted}: {[event.type for event in seen]}")


async def rest(session: RealtimeSession) -> list[str]:
    """Read the stream to its end; return the types of what was in it, raw events left out."""
    return [event.type async for event in session if event.type != "raw_model_event"]


async def outputs(far: FarEnd, count: int = 1) -> dict[str, str]:
    """Wait for the outputs of `count` calls and return them by call id."""
    found = {}
    for _ in range(count):
        item = (await far.received("conversation.item.create"))["item"]
        assert item["type"] == "function_call_output"
        assert item["call_id"] not in found
        found[item["call_id"]] = item["output"]
    return found


async def output(far: FarEnd) -> str:
    """Wait for the next output and return what the model is told."""
    [told] = (await outputs(far)).values()
    return told


def truncations(far: FarEnd) -> list[tuple[str, int, int]]:
    """Return what the far end was told to truncate: item id, content index, milliseconds."""
    return [
        (frame["item_id"], frame["content_index"], frame["audio_end_ms"])
        for frame in far.frames
        if frame["type"] == "conversation.item.truncate"
    ]


def user_item(item_id: str, text: str | None = None, *, previous: str | None = None) -> list[Event]:
    """An item of the user, written or (without text) spoken."""
    part = {"type": "input_audio", "transcript": None} if text is None else {"type": "input_text", "text": text}
    item = {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": [part]}
    kinds = ("conversation.item.added", "conversation.item.done")
    return [{"type": kind, "previous_item_id": previous, "item": item} for kind in kinds]


def response_done(
    response_id: str, output: Iterable[Event] = (), *, status: str = "completed", tokens: int = 0
) -> Event:
    usage = {"total_tokens": 2 * tokens, "input_tokens": tokens, "output_tokens": tokens} if tokens else None
    response = {
        "id": response_id,
        "status": status,
        "output": list(output),
        "usage": usage,
        "conversation_id": "conv_1",
    }
    return {"type": "response.done", "response": response}


def spoken_turn(
    response_id: str,
    item_id: str,
    words: Sequence[str] = ("Hello", " there."),
    *,
    previous: str | None = None,
    audio: bytes = AUDIO,
    tokens: int = 0,
) -> list[Event]:
    """A whole spoken answer: one message with one audio part, one chunk of audio for each word."""
    ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    transcript = "".join(words)
    done = {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_audio", "transcript": transcript}],
    }
    events = _opening(response_id, done | {"status": "in_progress", "content": []}, previous)
    events.append({"type": "response.content_part.added", **ids, "part": {"type": "audio", "transcript": ""}})
    for word in words:
        events.append({"type": "response.output_audio_transcript.delta", **ids, "delta": word})
        events.append({"type": "response.output_audio.delta", **ids, "delta": base64.b64encode(audio).decode()})
    events += [
        {"type": "response.output_audio.done", **ids},
        {"type": "response.output_audio_transcript.done", **ids, "transcript": transcript},
        {"type": "response.content_part.done", **ids, "part": {"type": "audio", "transcript": transcript}},
    ]
    return events + _closing(response_id, [done], previous, tokens)


def speaking(response_id: str = "resp_1", item_id: str = "item_1", **options: Any) -> list[Event]:
    """A spoken turn up to its last chunk of audio: the response is active, and more may come."""
    turn = spoken_turn(response_id, item_id, **options)
    kinds = [frame["type"] for frame in turn]
    return turn[: kinds.index("response.output_audio.done")]


def text_turn(
    response_id: str, item_id: str, words: Sequence[str] = ("Hello", " there."), *, previous: str | None = None
) -> list[Event]:
    """A whole written answer."""
    ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    text = "".join(words)
    done = {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text}],
    }
    events = _opening(response_id, done | {"status": "in_progress", "content": []}, previous)
    events.append({"type": "response.content_part.added", **ids, "part": {"type": "text", "text": ""}})
    events += [{"type": "response.output_text.delta", **ids, "delta": word} for word in words]
    events.append({"type": "response.output_text.done", **ids, "text": text})
    return events + _closing(response_id, [done], previous, 0)


def call_turn(response_id: str, *calls: tuple[str, str, str], previous: str | None = None) -> list[Event]:
    """A response of function calls, each a (call_id, name, arguments)."""
    items = [
        {
            "id": f"item_{call_id}",
            "type": "function_call",
            "status": "completed",
            "call_id": call_id,
            "name": name,
            "arguments": arguments,
        }
        for call_id, name, arguments in calls
    ]
    events = [_created(response_id)]
    for item in items:
        ids = {"response_id": response_id, "item_id": item["id"], "output_index": 0, "call_id": item["call_id"]}
        events += _item_begins(response_id, item | {"status": "in_progress", "arguments": ""}, previous)
        events += [
            {"type": "response.function_call_arguments.delta", **ids, "delta": item["arguments"]},
            {"type": "response.function_call_arguments.done", **ids, "arguments": item["arguments"]},
            {"type": "conversation.item.done", "previous_item_id": previous, "item": item},
            {"type": "response.output_item.done", "response_id": response_id, "output_index": 0, "item": item},
        ]
        previous = str(item["id"])
    events.append(response_done(response_id, items))
    return events


def _created(response_id: str) -> Event:
    response = {"id": response_id, "status": "in_progress", "output": [], "conversation_id": "conv_1"}
    return {"type": "response.created", "response": response}


def _item_begins(response_id: str, item: Event, previous: str | None) -> list[Event]:
    return [
        {"type": "response.output_item.added", "response_id": response_id, "output_index": 0, "item": item},
        {"type": "conversation.item.added", "previous_item_id": previous, "item": item},
    ]


def _opening(response_id: str, item: Event, previous: str | None) -> list[Event]:
    return [_created(response_id), *_item_begins(response_id, item, previous)]


def _closing(response_id: str, items: list[Event], previous: str | None, tokens: int) -> list[Event]:
    events: list[Event] = []
    for item in items:
        events += [
            {"type": "conversation.item.done", "previous_item_id": previous, "item": item},
            {"type": "response.output_item.done", "response_id": response_id, "output_index": 0, "item": item},
        ]
    events.append(response_done(response_id, items, tokens=tokens))
    return events
