"""The conversation: its items in order, with the audio that belongs to them.

An item is kept as the wire's own JSON, without audio; recordings lie beside it. No events are made here.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pybase64
from attrs import Factory, define

from jackfield.audio.formats import AudioFormat
from jackfield_local.engine import usage
from jackfield_local.engine.errors import ApiError, unknown_item
from jackfield_local.engine.usage import Cost

__all__ = ["Conversation", "Item", "Recording"]

_AUDIO_KEPT_BYTES: Final = 32 * 1024 * 1024
"""Audio that one conversation keeps for `conversation.item.retrieve`; the oldest goes first, its length stays known."""

ROOT: Final = "root"


class Recording:
    """The audio of one content part, in a wire format; `ms` is its length, also once `data` was dropped."""

    def __init__(self, wire_format: Mapping[str, Any], data: bytes = b"") -> None:
        self.data = bytearray(data)
        self._bytes_per_ms = AudioFormat.parse(wire_format).bytes_per_ms
        self._kept = True
        self.ms = len(data) / self._bytes_per_ms

    def add(self, data: bytes) -> None:
        """Append audio."""
        self.ms += len(data) / self._bytes_per_ms
        if self._kept:
            self.data += data
            if len(self.data) > _AUDIO_KEPT_BYTES:
                self.drop()

    def drop(self) -> None:
        """Forget the audio, for good."""
        self.data = bytearray()
        self._kept = False

    def cut(self, ms: int) -> None:
        """Drop what comes after `ms` milliseconds."""
        if self.ms > 0:
            del self.data[int(len(self.data) * ms / self.ms) & ~1 :]
        self.ms = float(ms)


@define(eq=False)
class Item:
    """One conversation item. `heard` is what a user's audio was recognised as, whether or not the client is told."""

    wire: dict[str, Any]
    recordings: dict[int, Recording] = Factory(dict)
    heard: str | None = None

    @property
    def id(self) -> str:
        """The item's id."""
        item_id: str = self.wire["id"]
        return item_id

    def to_wire(self) -> dict[str, Any]:
        """Return the item as events carry it: no audio."""
        return copy.deepcopy(self.wire)

    def to_wire_with_audio(self) -> dict[str, Any]:
        """Return the item as `conversation.item.retrieved` carries it."""
        wire = self.to_wire()
        for index, recording in self.recordings.items():
            if not recording.data:
                continue
            wire["content"][index]["audio"] = pybase64.b64encode(bytes(recording.data)).decode()
        return wire

    def to_context(self) -> dict[str, Any]:
        """Return the item as a responder sees it: a user's audio with what was heard as its transcript."""
        wire = self.to_wire()
        for part in wire.get("content", ()):
            if part["type"] == "input_audio" and not part.get("transcript"):
                part["transcript"] = self.heard
        return wire

    def cost(self) -> Cost:
        """Return what the item costs as context."""
        wire = self.wire
        total = usage.text(wire.get("name", "") + wire.get("arguments", "") + (wire.get("output") or ""))
        spoken = usage.assistant_audio if wire.get("role") == "assistant" else usage.user_audio
        for index, part in enumerate(wire.get("content", ())):
            total += usage.text(part.get("text") or "")
            if part["type"] == "input_image":
                total += usage.image(part.get("detail") or "auto")
            if index in self.recordings:
                total += spoken(self.recordings[index].ms)
        return total

    def truncate(self, content_index: int, audio_end_ms: int) -> None:
        """Cut the assistant's audio at `audio_end_ms`, and forget its transcript. Raises `ApiError`."""
        recording = self.recordings.get(content_index)
        if self.wire.get("role") != "assistant" or recording is None or recording.ms == 0:
            message = "Only model output audio messages can be truncated"
            raise ApiError(message, code="unsupported_content_type", param="item_id")
        if audio_end_ms > recording.ms:
            message = f"Audio content of {int(recording.ms)}ms is already shorter than {audio_end_ms}ms"
            raise ApiError(message, code="invalid_value", param="audio_end_ms")
        recording.cut(audio_end_ms)
        self.wire["content"][content_index]["transcript"] = None


class Conversation:
    """Items in order, reachable by id. An id that is used twice names the later item."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._items: list[Item] = []
        self._by_id: dict[str, Item] = {}
        self._recordings: deque[Recording] = deque()

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    @property
    def last_id(self) -> str | None:
        """The id of the last item, None where there is none."""
        return self._items[-1].id if self._items else None

    def get(self, item_id: str) -> Item | None:
        """Return the item with that id, None where there is none."""
        return self._by_id.get(item_id)

    def before(self, item: Item) -> str | None:
        """Return the id of the item before `item`, None where it is the first or no longer there."""
        # Newest first: it is nearly always one of the last that is asked for.
        for position in range(len(self._items) - 1, 0, -1):
            if self._items[position] is item:
                return self._items[position - 1].id
        return None

    def append(self, item: Item) -> str | None:
        """Add an item at the end. Return the id of the one before it."""
        previous = self.last_id
        self._items.append(item)
        self._by_id[item.id] = item
        self._recordings.extend(item.recordings.values())
        return previous

    def insert(self, item: Item, previous_item_id: str | None) -> str | None:
        """Add an item after another, at the start ("root") or at the end (None, ""). Return the id before it.

        Raises `ApiError` where there is no item `previous_item_id`.
        """
        if not previous_item_id:
            return self.append(item)
        if previous_item_id == ROOT:
            position = 0
        elif previous_item_id in self._by_id:
            position = self._items.index(self._by_id[previous_item_id]) + 1
        else:
            raise ApiError(
                f"Error adding item: the previous item with id '{previous_item_id}' does not exist.",
                code="item_create_invalid_previous_item_id",
                param="previous_item_id",
            )
        self._items.insert(position, item)
        self._by_id[item.id] = item
        self._recordings.extend(item.recordings.values())
        return None if previous_item_id == ROOT else previous_item_id

    def delete(self, item_id: str) -> None:
        """Remove an item. Raises `ApiError` where there is none of that id."""
        item = self._by_id.pop(item_id, None)
        if item is None:
            raise unknown_item("deleting", "delete", item_id)
        self._items.remove(item)

    def record(self, recording: Recording) -> None:
        """Count a recording that is growing among those whose audio is kept within bounds."""
        self._recordings.append(recording)

    def bound_audio(self) -> None:
        """Drop the oldest audio where there is more than is kept."""
        total = sum(len(recording.data) for recording in self._recordings)
        while self._recordings and total > _AUDIO_KEPT_BYTES:
            oldest = self._recordings.popleft()
            total -= len(oldest.data)
            oldest.drop()

    def costs(self) -> Iterable[Cost]:
        """Return what each item costs as context."""
        return (item.cost() for item in self._items)
