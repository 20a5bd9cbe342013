"""A wire that reads and writes without waiting for a turn of the event loop: what is taken and written, and when."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

from jackfield import TransportCapabilities
from jackfield.openai import OpenAIRealtimeTransport
from jackfield.transport import ConnectOptions
from support.clock import settle, timeless

Event = dict[str, Any]


class DirectWire:
    """A wire in the test's hands, and its one connection."""

    secrets: Sequence[str] = ()

    def __init__(self) -> None:
        self.written: list[tuple[str, Event]] = []
        """How each frame was written, "now" or "send", and the frame."""
        self.clogged = False
        self._take: Callable[[bytes | str], bool] | None = None
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def open(self, options: ConnectOptions) -> DirectWire:
        self.push({"type": "session.created", "session": {}})
        return self

    def push(self, *events: Event) -> None:
        for event in events:
            frame = json.dumps(event).encode()
            if self._take is None or not self._queue.empty() or not self._take(frame):
                self._queue.put_nowait(frame)

    def deliver(self, take: Callable[[bytes | str], bool]) -> None:
        self._take = take

    def send_now(self, frame: bytes) -> bool:
        if self.clogged:
            return False
        self.written.append(("now", json.loads(frame)))
        return True

    async def send(self, frame: bytes) -> None:
        event = json.loads(frame)
        self.written.append(("send", event))
        if event["type"] == "session.update":
            self.push({"type": "session.updated", "session": event["session"]})

    async def receive(self) -> bytes:
        return await self._queue.get()

    async def close(self) -> None:
        pass

    def kinds(self) -> list[tuple[str, str]]:
        return [(how, event["type"]) for how, event in self.written if event["type"] != "session.update"]


async def connected() -> tuple[OpenAIRealtimeTransport, DirectWire]:
    wire = DirectWire()
    transport = OpenAIRealtimeTransport(wire, name="direct", capabilities=TransportCapabilities())
    await transport.connect(initial_session_config={})
    await settle()
    return transport, wire


PLACE = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
SPEAKING: list[Event] = [
    {"type": "response.created", "response": {"id": "resp_1", "conversation_id": "conv_1"}},
    {"type": "response.output_audio.delta", "delta": base64.b64encode(bytes(48_000)).decode(), **PLACE},
]
SPEECH: Event = {"type": "input_audio_buffer.speech_started", "item_id": "item_u", "audio_start_ms": 0}


@timeless
async def test_a_frame_is_told_where_it_was_read() -> None:
    transport, wire = await connected()
    told: list[str] = []
    transport.on("audio", lambda event: told.append(event.item_id))
    wire.push(*SPEAKING)
    assert told == ["item_1"], "nothing was awaited"
    await transport.close()


@timeless
async def test_a_reaction_is_written_before_anybody_is_told() -> None:
    transport, wire = await connected()
    wire.push(*SPEAKING)
    seen: list[list[tuple[str, str]]] = []
    transport.on("*", lambda event: seen.append(wire.kinds()))
    transport.on("speech_started", lambda event: seen.append(wire.kinds()))
    out: list[str] = []
    transport.on("speech_started", lambda event: out.append("speech_started"))
    transport.on("*out", lambda event: out.append(event["type"]))
    wire.push(SPEECH)
    reaction = [("now", "response.cancel"), ("now", "conversation.item.truncate")]
    assert seen == [reaction, reaction]
    assert out == ["speech_started", "response.cancel", "conversation.item.truncate"], "that it was written, last"
    await transport.close()


@timeless
async def test_where_it_would_have_to_wait_it_is_sent_in_its_turn() -> None:
    transport, wire = await connected()
    wire.push(*SPEAKING)
    wire.clogged = True
    wire.push(SPEECH)
    assert wire.kinds() == []
    await settle()
    assert wire.kinds() == [("send", "response.cancel"), ("send", "conversation.item.truncate")]
    await transport.close()


@timeless
async def test_too_many_in_a_row_are_read_in_their_turn_and_in_order() -> None:
    transport, wire = await connected()
    told: list[int] = []
    transport.on("*", lambda event: told.append(event["n"]))
    wire.push(*({"type": "x.n", "n": number} for number in range(100)))
    at_once = len(told)
    assert 0 < at_once < 100, "others on the loop have their turn too"
    await settle()
    assert told == list(range(100))
    await transport.close()


@timeless
async def test_nothing_is_told_after_a_close() -> None:
    transport, wire = await connected()
    told: list[Any] = []
    transport.on("*", told.append)
    await transport.close()
    wire.push(*SPEAKING)
    await settle()
    assert told == []
