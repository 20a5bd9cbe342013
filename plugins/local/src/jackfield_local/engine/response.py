"""One response: the events of its life, from `response.created` to `response.done`.

Whoever produces the answer writes messages, audio and calls here in order; the close-out events of whatever is open
follow from that, also where the response is cut short. Which responses there may be is decided in `responses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec
import pybase64

from jackfield_local.engine import usage
from jackfield_local.engine.codec import Encoder
from jackfield_local.engine.conversation import Conversation, Item, Recording
from jackfield_local.engine.ids import IdSource
from jackfield_local.engine.usage import Cost

__all__ = ["Emit", "OutputLimitReached", "Player", "Response", "Status", "emit_mcp_call"]

Status: TypeAlias = Literal["completed", "cancelled", "incomplete", "failed"]

_PLAYED_FORMAT: Final = {"type": "audio/pcm", "rate": 24000}
"""What audio that the server plays is kept as: what goes over the wire is agreed on there, not in the session."""

_ARGUMENT_CHUNK: Final = 12
"""Characters of a call's arguments in one delta."""


class OutputLimitReached(Exception):  # noqa: N818 - an outcome that unwinds the producer, not an error
    """The response has used its `max_output_tokens`; it is to be finished as incomplete."""


class Emit(Protocol):
    """Sends a server event."""

    def __call__(self, kind: str, **fields: Any) -> None:
        """Send an event of type `kind`."""
        ...


class Player(Protocol):
    """Plays audio where the server does so itself."""

    def write(self, response: Response, item: Item, pcm: bytes) -> bool:
        """Have PCM16 at 24,000 Hz of a message played. Return False where the response was cut off."""
        ...


def emit_mcp_call(emit: Emit, state: str, item: Item, output_index: int) -> None:
    """Tell how the call of a hosted tool stands: "in_progress", "completed" or "failed"."""
    emit(f"response.mcp_call.{state}", item_id=item.id, output_index=output_index)


class Response:
    """A response under way.

    `settings` is what `config.override_for_response` returns. `conversation` is None for a response out of band, and
    `context` its own input items where it has any. With a `player`, audio goes there, and not to the client as events.
    """

    def __init__(
        self,
        *,
        settings: dict[str, Any],
        conversation: Conversation | None,
        context: Sequence[Item] | None,
        emit: Emit,
        ids: IdSource,
        player: Player | None = None,
    ) -> None:
        self.id = ids.new("resp")
        self.settings = settings
        self.context = context
        self.audio_ms = 0.0
        self.status: Status | None = None
        self.output: list[Item] = []
        self._conversation = conversation
        self._emit = emit
        self._ids = ids
        self._player = player
        limit = settings["max_output_tokens"]
        self._limit = None if limit == "inf" else int(limit)
        self._characters = 0
        self._encoder: Encoder | None = None
        self._recording: Recording | None = None
        self._open: dict[str, Any] = {}
        self._unfinished: Item | None = None
        self._calling = False
        self._text: list[str] = []

    @property
    def speaks(self) -> bool:
        """Whether the answer is to be audio with a transcript, and not text."""
        return bool(self.settings["output_modalities"] == ["audio"])

    @property
    def done(self) -> bool:
        """Whether the response has ended, with a `status`."""
        return self.status is not None

    @property
    def default(self) -> bool:
        """Whether the response is part of the default conversation."""
        return self._conversation is not None

    @property
    def cost(self) -> Cost:
        """What the response has produced, in tokens."""
        return usage.characters(self._characters) + usage.assistant_audio(self.audio_ms)

    def start(self) -> None:
        """Announce the response."""
        self._emit("response.created", response=self.to_wire("in_progress"))

    def open_message(self) -> None:
        """Begin a message of the assistant, and its only content part."""
        item = Item({"id": self._ids.new("item"), "type": "message", "status": "in_progress", "role": "assistant"})
        item.wire["content"] = []
        self._add(item)
        part = {"type": "audio", "transcript": ""} if self.speaks else {"type": "text", "text": ""}
        if self.speaks:
            wire_format = self.settings["output"]["format"] if self._player is None else _PLAYED_FORMAT
            self._encoder = Encoder(wire_format)
            self._recording = Recording(wire_format)
            item.recordings[0] = self._recording
            item.wire["content"].append({"type": "output_audio", "transcript": ""})
            if self._conversation is not None:
                self._conversation.record(self._recording)
        else:
            item.wire["content"].append({"type": "output_text", "text": ""})
        self._open = {**self._place(item), "content_index": 0}
        self._text = []
        self._emit("response.content_part.added", **self._open, part=part)

    def write_text(self, delta: str) -> None:
        """Add to the message's text, or to its transcript where it is spoken. Raises `OutputLimitReached`."""
        self._spend(len(delta), 0)
        self._text.append(delta)
        kind = "response.output_audio_transcript.delta" if self.speaks else "response.output_text.delta"
        self._emit(kind, **self._open, delta=delta, obfuscation=self._ids.padding())

    def write_audio(self, pcm: bytes) -> None:
        """Add to the message's audio (PCM16 mono, 24,000 Hz). Raises `OutputLimitReached`."""
        assert self._encoder is not None
        self._spend(0, len(pcm) / 48)
        if self._player is not None and not self._player.write(self, self.output[-1], pcm):
            # Cut off: it is made, and paid for, and nobody's to hear.
            self.audio_ms += len(pcm) / 48
            return
        self._send_audio(self._encoder.feed(pcm))

    def close_message(self, status: str = "completed") -> None:
        """End the open message."""
        item, place = self.output[-1], self._open
        text = "".join(self._text)
        part: dict[str, Any]
        if self.speaks:
            if status == "completed" and self._encoder is not None:
                self._send_audio(self._encoder.flush())
            self._emit("response.output_audio.done", **place)
            self._emit("response.output_audio_transcript.done", **place, transcript=text)
            part = {"type": "audio", "transcript": text}
            if self._recording is not None and item.wire["content"][0]["transcript"] is not None:
                item.wire["content"][0]["transcript"] = text
        else:
            self._emit("response.output_text.done", **place, text=text)
            part = {"type": "text", "text": text}
            item.wire["content"][0]["text"] = text
        self._emit("response.content_part.done", **place, part=part)
        self._encoder = self._recording = None
        self._open = {}
        self._close_item(item, status)

    def call_function(self, name: str, arguments: object) -> None:
        """Add a function call. Raises `OutputLimitReached`."""
        text = msgspec.json.encode(arguments).decode()
        call_id = self._ids.new("call")
        item = Item(
            {
                "id": self._ids.new("item"),
                "type": "function_call",
                "status": "in_progress",
                "name": name,
                "call_id": call_id,
                "arguments": "",
            }
        )
        self._add(item)
        self._write_arguments("function_call", item, text, call_id=call_id)
        self._finish_call(item, "completed")

    def open_mcp_call(self, server_label: str, name: str, arguments: object) -> Item:
        """Begin the call of a hosted tool, and return its item. Raises `OutputLimitReached`.

        What follows is `start_mcp_call` and `close_mcp_call`, or `request_approval`.
        """
        text = msgspec.json.encode(arguments).decode()
        item = Item(
            {
                "id": self._ids.new("item"),
                "type": "mcp_call",
                "server_label": server_label,
                "name": name,
                "arguments": "",
                "approval_request_id": None,
                "output": None,
                "error": None,
            }
        )
        self._add(item)
        self._write_arguments("mcp_call", item, text)
        self._emit("response.mcp_call_arguments.done", **self._place(item), arguments=item.wire["arguments"])
        return item

    def start_mcp_call(self, item: Item) -> None:
        """Tell that the open call is being made."""
        self._calling = True
        emit_mcp_call(self._emit, "in_progress", item, len(self.output) - 1)

    def close_mcp_call(self, item: Item, *, output: str | None = None, error: dict[str, Any] | None = None) -> None:
        """End the open call with its output, or with the error that it came to."""
        self._calling = False
        item.wire.update(output=output, error=error)
        emit_mcp_call(self._emit, "completed" if error is None else "failed", item, len(self.output) - 1)
        self._close_item(item)

    def request_approval(self, item: Item) -> str:
        """Leave the open call to the client's approval, ask for it, and return the id of the request."""
        fields = {name: item.wire[name] for name in ("server_label", "name", "arguments")}
        request = Item({"id": self._ids.new("item"), "type": "mcp_approval_request", **fields})
        item.wire["approval_request_id"] = request.id
        # The conversation is told that the item is done when the call is, which may be long after the response.
        self._emit_output_done(item)
        self._add(request)
        self._close_item(request)
        return request.id

    def finish(
        self, status: Status, *, reason: str | None = None, error: dict[str, Any] | None = None, used: dict[str, Any]
    ) -> None:
        """End the response, closing what is open; `used` is its usage."""
        if self._unfinished is not None:
            self._cut_short(self._unfinished)
        self.status = status
        details: dict[str, Any] | None = None
        if status != "completed":
            details = {"type": status}
            if reason is not None:
                details["reason"] = reason
            if error is not None:
                details["error"] = error
        self._emit("response.done", response=self.to_wire(status, details=details, used=used))

    def to_wire(
        self, status: str, *, details: dict[str, Any] | None = None, used: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the `response` object, every key present."""
        output = self.settings["output"]
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.to_wire() for item in self.output],
            "conversation_id": None if self._conversation is None else self._conversation.id,
            "output_modalities": list(self.settings["output_modalities"]),
            "max_output_tokens": self.settings["max_output_tokens"],
            "audio": {"output": {"format": dict(output["format"]), "voice": output["voice"]}},
            "usage": used,
            "metadata": self.settings["metadata"],
        }

    def _cut_short(self, item: Item) -> None:
        if self._open:
            self.close_message("incomplete")
        elif item.wire["type"] == "function_call":
            self._finish_call(item, "incomplete")
        elif self._calling:
            error = {"type": "tool_execution_error", "message": "The response ended before the call did."}
            self.close_mcp_call(item, error=error)
        else:
            self._emit("response.mcp_call_arguments.done", **self._place(item), arguments=item.wire["arguments"])
            self._close_item(item)

    def _add(self, item: Item) -> None:
        self._unfinished = item
        self.output.append(item)
        place = {"response_id": self.id, "output_index": len(self.output) - 1}
        self._emit("response.output_item.added", **place, item=item.to_wire())
        if self._conversation is not None:
            previous = self._conversation.append(item)
            self._emit("conversation.item.added", previous_item_id=previous, item=item.to_wire())

    def _close_item(self, item: Item, status: str | None = None) -> None:
        if status is not None:
            item.wire["status"] = status
        if self._conversation is not None:
            previous = self._conversation.before(item)
            self._emit("conversation.item.done", previous_item_id=previous, item=item.to_wire())
            self._conversation.bound_audio()
        self._emit_output_done(item)

    def _emit_output_done(self, item: Item) -> None:
        self._unfinished = None
        place = {"response_id": self.id, "output_index": len(self.output) - 1}
        self._emit("response.output_item.done", **place, item=item.to_wire())

    def _write_arguments(self, kind: str, item: Item, text: str, **more: str) -> None:
        place = {**self._place(item), **more}
        for start in range(0, len(text), _ARGUMENT_CHUNK):
            delta = text[start : start + _ARGUMENT_CHUNK]
            self._spend(len(delta), 0)
            item.wire["arguments"] += delta
            padding = self._ids.padding()
            self._emit(f"response.{kind}_arguments.delta", **place, delta=delta, obfuscation=padding)

    def _finish_call(self, item: Item, status: str) -> None:
        place = {**self._place(item), "call_id": item.wire["call_id"], "name": item.wire["name"]}
        self._emit("response.function_call_arguments.done", **place, arguments=item.wire["arguments"])
        self._close_item(item, status)

    def _place(self, item: Item) -> dict[str, Any]:
        return {"response_id": self.id, "item_id": item.id, "output_index": len(self.output) - 1}

    def _send_audio(self, data: bytes) -> None:
        if not data or self._recording is None:
            return
        before = self._recording.ms
        self._recording.add(data)
        self.audio_ms += self._recording.ms - before
        if self._player is None:
            self._emit("response.output_audio.delta", **self._open, delta=pybase64.b64encode(data).decode("ascii"))

    def _spend(self, characters: int, ms: float) -> None:
        if self._limit is not None:
            text_tokens = -(-(self._characters + characters) // 4)
            if text_tokens + int((self.audio_ms + ms) / 50) > self._limit:
                raise OutputLimitReached
        self._characters += characters
