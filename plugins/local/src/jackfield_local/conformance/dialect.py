"""A far end that speaks the OpenAI Realtime dialect, whatever carries it: what came, and what can be said.

The kit asks for what every provider has; beside it there is what only this dialect has, event by event. The ends
themselves are in `sockets` (WebSockets) and `peers` (WebRTC).
"""

from __future__ import annotations

import abc
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jackfield.testing.conformance import AUDIO, FarConnection

__all__ = ["DialectConnection"]

Event = dict[str, Any]


class DialectConnection(FarConnection):
    """One connection of the dialect, seen from the far end."""

    given_config: Event | None = None
    """The session that came with the handshake; None where it is still to come as an event."""
    junk = ("", "nonsense", "[1, 2]", "null", '"text"', "{}", '{"type": 5}', '{"type": "x"', "\ufeff{}", '{"a": NaN}')

    def __init__(self) -> None:
        super().__init__()
        self._ids = itertools.count(1)
        self._commits: list[int] = []
        self._accepted = False
        self._started: dict[str, str] = {}
        """The words of the spoken responses that have begun and not ended."""

    # What came, event by event

    def types(self) -> list[str]:
        """Return the types of all events that came."""
        return [event["type"] for event in self.received]

    def of(self, kind: str) -> list[Event]:
        """Return the events of this type that came."""
        return [event for event in self.received if event["type"] == kind]

    def turns(self) -> list[bytes]:
        """Return the user's audio, cut where it was committed."""
        heard = self.heard
        return [heard[start:end] for start, end in itertools.pairwise([0, *self._commits])]

    async def expect(self, kind: str, count: int = 1) -> Event:
        """Wait until `count` events of this type have come; return the last of them."""
        await self.until(lambda: len(self.of(kind)) >= count, f"{count} of {kind}")
        return self.of(kind)[count - 1]

    async def hear(self, size: int) -> bytes:
        """Wait until that many bytes of audio have come; return all of it."""
        await self.until(lambda: len(self.heard) >= size, f"{size} bytes of audio")
        return self.heard

    async def receive(self) -> Event:
        event: Event = json.loads(await self._next())
        self.received.append(event)
        if event["type"] == "input_audio_buffer.commit":
            self._commits.append(len(self.heard))
        elif event["type"] == "session.update" and self._accepted:
            await self._acknowledge(event)
        self.tell()
        return event

    # What came, as the kit sees it

    @property
    def instructions(self) -> list[str]:
        return [config["instructions"] for config in self._configs() if "instructions" in config]

    @property
    def tools(self) -> list[str]:
        declared = [config["tools"] for config in self._configs() if "tools" in config]
        return [tool.get("name", tool["type"]) for tool in declared[-1]] if declared else []

    @property
    def messages(self) -> list[str]:
        return [text for item in self._items("message") for text in _texts(item)]

    @property
    def images(self) -> int:
        return sum(part["type"] == "input_image" for item in self._items("message") for part in item["content"])

    @property
    def commits(self) -> int:
        return len(self._commits)

    @property
    def requests(self) -> int:
        return len(self.of("response.create"))

    @property
    def outputs(self) -> Mapping[str, str]:
        return {item["call_id"]: item["output"] for item in self._items("function_call_output")}

    @property
    def clears(self) -> int:
        return len(self.of("input_audio_buffer.clear"))

    @property
    def cancels(self) -> int:
        return len(self.of("response.cancel"))

    @property
    def truncations(self) -> Sequence[int]:
        return [event["audio_end_ms"] for event in self.of("conversation.item.truncate")]

    @property
    def overrides(self) -> Sequence[Mapping[str, Any]]:
        return [event["response"] for event in self.of("response.create") if "response" in event]

    @property
    def conversation(self) -> Sequence[str]:
        order: list[str] = []
        texts: dict[str, str] = {}
        for event in self.received:
            if event["type"] == "conversation.item.create":
                item, previous = event["item"], event.get("previous_item_id")
                item_id = item.get("id", f"item_{len(texts)}")
                place = 0 if previous == "root" else order.index(previous) + 1 if previous in order else len(order)
                order.insert(place, item_id)
                texts[item_id] = " ".join(_texts(item))
            elif event["type"] == "conversation.item.delete":
                order.remove(event["item_id"])
        return [texts[item_id] for item_id in order]

    @property
    def approvals(self) -> Mapping[str, bool]:
        return {item["approval_request_id"]: item["approve"] for item in self._items("mcp_approval_response")}

    def own_message(self, number: int) -> Event:
        return {"type": "x.numbered", "number": number}

    def _configs(self) -> Iterator[Event]:
        if self.given_config is not None:
            yield self.given_config
        for event in self.of("session.update"):
            yield event["session"]

    def _items(self, kind: str) -> list[Event]:
        return [event["item"] for event in self.of("conversation.item.create") if event["item"]["type"] == kind]

    # What is said, event by event

    async def send(self, *events: Event) -> None:
        """Send events, with ids of their own where they have none."""
        for event in events:
            await self.send_text(json.dumps({"event_id": f"event_{next(self._ids)}", **event}))

    @abc.abstractmethod
    async def send_text(self, text: str) -> None:
        """Send a frame of text."""

    @abc.abstractmethod
    async def send_binary(self, data: bytes) -> None:
        """Send a binary frame."""

    async def open_session(self, **session: Any) -> None:
        """Say that there is a session."""
        shape = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "gpt-realtime", **session}
        await self.send({"type": "session.created", "session": shape})

    async def take_config(self) -> Event:
        """Return the initial config, however it comes, without acknowledging it."""
        if self.given_config is not None:
            return self.given_config
        await self.open_session()
        event = await self.receive()
        assert event["type"] == "session.update"
        session: Event = event["session"]
        return session

    async def configured(self) -> Event:
        """Wait, beside the script, until the initial config is there; return it."""
        if self.given_config is not None:
            return self.given_config
        session: Event = (await self.expect("session.update"))["session"]
        return session

    # What is said, as the kit asks for it

    async def accept(self) -> None:
        self._accepted = True
        await self.open_session(**(self.given_config or {}))
        for event in self.of("session.update"):
            await self._acknowledge(event)

    async def speak(
        self, audio: bytes = AUDIO, *, text: str = "Hello.", response_id: str = "resp_1", chunk: int = 1200
    ) -> None:
        if response_id not in self._started:
            self._started[response_id] = text
            await self._begin(response_id, _message(response_id))
            if text:
                transcript = {"type": "response.output_audio_transcript.delta", "delta": text}
                await self.send({**transcript, **_place(response_id)})
        if audio:
            await self._send_audio(audio, response_id, chunk)

    async def finish(self, *, response_id: str = "resp_1", cancelled: bool = False) -> None:
        content = [{"type": "output_audio", "transcript": self._started.pop(response_id)}]
        item = {**_message(response_id), "status": "incomplete" if cancelled else "completed", "content": content}
        await self.send({"type": "response.output_audio.done", **_place(response_id)})
        await self._end(response_id, item, status="cancelled" if cancelled else "completed")

    async def write(self, *pieces: str, response_id: str = "resp_1") -> None:
        await self._begin(response_id, _message(response_id))
        for piece in pieces:
            await self.send({"type": "response.output_text.delta", "delta": piece, **_place(response_id)})
        text = "".join(pieces)
        await self.send({"type": "response.output_text.done", "text": text, **_place(response_id)})
        content = [{"type": "output_text", "text": text}]
        await self._end(response_id, {**_message(response_id), "status": "completed", "content": content})

    async def call(self, *calls: tuple[str, str, str], response_id: str = "resp_1") -> None:
        items = [
            {"id": f"item_{call_id}", "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
            for call_id, name, arguments in calls
        ]
        await self._begin(response_id)
        for index, item in enumerate(items):
            place = {"response_id": response_id, "output_index": index}
            begun = {**item, "status": "in_progress", "arguments": ""}
            await self.send({"type": "response.output_item.added", **place, "item": begun})
            done = {"type": "response.function_call_arguments.done", "item_id": item["id"], "call_id": item["call_id"]}
            await self.send({**done, **place, "arguments": item["arguments"]})
        await self._end(response_id, *({**item, "status": "completed"} for item in items))

    async def user_interrupts(self) -> None:
        started = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 5}
        await self.send({**started, "item_id": f"item_of_user_{next(self._ids)}"})

    async def transcribe(self, text: str) -> None:
        item_id = f"item_of_user_{next(self._ids)}"
        part = {"type": "input_audio", "transcript": None}
        item = {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": [part]}
        told = {"type": "conversation.item.input_audio_transcription.completed", "item_id": item_id, "content_index": 0}
        await self.send({"type": "conversation.item.added", "previous_item_id": None, "item": item})
        await self.send({**told, "transcript": text})

    async def strange(self, number: int, text: str = "") -> Event:
        event = {"type": "x.strange", "event_id": f"event_{next(self._ids)}", "number": number, "text": text}
        await self.send(event)
        return event

    async def send_frame(self, frame: str | bytes) -> None:
        await (self.send_text(frame) if isinstance(frame, str) else self.send_binary(frame))

    async def press(self, digit: str) -> None:
        await self.send(
            {"type": "input_audio_buffer.dtmf_event_received", "event": digit, "received_at": 1_700_000_000}
        )

    async def ask_approval(self, request_id: str) -> None:
        place = {"server_label": "docs", "name": "search", "arguments": "{}"}
        item = {"id": request_id, "type": "mcp_approval_request", **place}
        for kind in ("conversation.item.added", "conversation.item.done"):
            await self.send({"type": kind, "previous_item_id": None, "item": item})

    async def fail(self, message: str) -> None:
        error = {"type": "invalid_request_error", "code": "invalid_value", "message": message, "param": None}
        await self.send({"type": "error", "error": error})

    @abc.abstractmethod
    async def _next(self) -> str | bytes: ...

    @abc.abstractmethod
    async def _send_audio(self, audio: bytes, response_id: str, chunk: int) -> None: ...

    async def _acknowledge(self, update: Event) -> None:
        await self.send({"type": "session.updated", "session": {"id": "sess_1", **update["session"]}})

    async def _begin(self, response_id: str, *items: Event) -> None:
        response = {"id": response_id, "object": "realtime.response", "status": "in_progress", "output": []}
        await self.send({"type": "response.created", "response": {**response, "conversation_id": "conv_1"}})
        for item in items:
            place = {"response_id": response_id, "output_index": 0}
            await self.send({"type": "response.output_item.added", **place, "item": item})

    async def _end(self, response_id: str, *items: Event, status: str = "completed") -> None:
        response: Event = {"id": response_id, "object": "realtime.response", "status": status}
        response["conversation_id"] = "conv_1"
        if status == "cancelled":
            response["status_details"] = {"type": "cancelled", "reason": "client_cancelled"}
        usage = {"total_tokens": 12, "input_tokens": 5, "output_tokens": 7}
        for index, item in enumerate(items):
            place = {"response_id": response_id, "output_index": index}
            await self.send({"type": "response.output_item.done", **place, "item": item})
        await self.send({"type": "response.done", "response": {**response, "output": list(items), "usage": usage}})


def _message(response_id: str) -> Event:
    return {"id": f"item_of_{response_id}", "type": "message", "role": "assistant", "status": "in_progress"}


def _place(response_id: str) -> Event:
    return {"response_id": response_id, "item_id": f"item_of_{response_id}", "output_index": 0, "content_index": 0}


def _texts(item: Event) -> list[str]:
    return [part["text"] for part in item.get("content", ()) if "text" in part]
