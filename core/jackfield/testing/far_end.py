"""What the scripted far end knows of one connection: the conversation, the open responses, and what was heard.

It does no I/O and reads no clock. Audio is played when the test says so (`play`), and the ledger reckons from that, as
it does for every transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field

from jackfield.audio.formats import PCM16
from jackfield.audio.ledger import PartPlayback, PlaybackLedger
from jackfield.errors import ConfigurationError
from jackfield.openai.inbound.fields import audio_format
from jackfield.openai.interruption import reaction_to_speech
from jackfield.openai.session_payload import session_payload
from jackfield.openai.wire_items import item_from_wire, item_to_wire
from jackfield.transport import events as ev
from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    InputAudio,
    ItemStatus,
    RealtimeItem,
    RealtimeToolCallItem,
    UserMessageItem,
    items_that_stay,
)
from jackfield.transport.options import ConnectOptions

__all__ = ["FarEnd", "Response"]


@define(eq=False)
class Response:
    """A response that is being generated."""

    response_id: str
    output: list[RealtimeItem] = field(factory=list)
    """Its items that are complete."""
    message: AssistantMessageItem | None = None
    """The message that isn't, yet."""
    words: str = ""
    """What was said or written of it."""
    spoken: bool = False


class FarEnd:
    """The provider's side of one connection."""

    def __init__(self, options: ConnectOptions, new_id: Callable[[str], str]) -> None:
        """`new_id` makes an id with a prefix."""
        self.new_id = new_id
        self.responses: dict[str, Response] = {}
        """The open responses, by id."""
        self.output_format = PCM16
        self.uncommitted = 0
        """Bytes of the user's audio that make no item yet."""
        self._options = options
        self._turn_detection: Mapping[str, Any] | None = None
        self._items: list[str] = []
        self._now = 0.0
        self._input_ms = 0
        self._ledger = PlaybackLedger(lambda: self._now, options.playback_tracker)
        self.configure(options.initial_session_config or {})

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take over what concerns audio of a session's settings."""
        audio = session_payload(config).get("audio") or {}
        output, inputs = audio.get("output") or {}, audio.get("input") or {}
        if "format" in output:
            self.output_format = audio_format(output["format"], self.output_format)
        if "turn_detection" in inputs:
            self._turn_detection = inputs["turn_detection"]
        if self._options.playback_tracker is not None:
            self._options.playback_tracker.set_audio_format(self.output_format)

    def observe(self, event: ev.TransportEvent) -> None:
        """Note what an event that is being told means, whoever made it."""
        match event:
            case ev.Audio():
                self._ledger.received(
                    event.response_id, event.item_id, event.content_index, len(event.data), event.format
                )
            case ev.AudioDone():
                self._ledger.done(event.item_id, event.content_index)
            case ev.TurnStarted():
                self.responses.setdefault(event.response_id, Response(event.response_id))
            case ev.TurnDone():
                self._ledger.response_done(event.response_id)
                self.responses.pop(event.response_id, None)
            case ev.ItemUpdate():
                self._place(event)
            case ev.ItemDeleted() if event.item_id in self._items:
                self._items.remove(event.item_id)

    # The conversation

    @property
    def last_item_id(self) -> str | None:
        """The item after which a new one comes; None where the conversation is empty."""
        return self._items[-1] if self._items else None

    def _place(self, event: ev.ItemUpdate) -> None:
        item_id, after = event.item.item_id, event.after
        if item_id in self._items:
            return
        if after is None:
            self._items.insert(0, item_id)
        elif after in self._items:
            self._items.insert(self._items.index(after) + 1, item_id)
        else:
            self._items.append(item_id)

    def added(self, item: RealtimeItem) -> ev.ItemUpdate:
        """Return the event by which a new item comes last."""
        return ev.ItemUpdate(item=item, after=self.last_item_id)

    def sent(self, wire_item: Mapping[str, Any]) -> ev.ItemUpdate:
        """Return the event by which a message of the user's comes back."""
        item = item_from_wire({"id": self.new_id("item"), **wire_item}, "completed")
        assert item is not None, "a message has a role and content"
        return self.added(item)

    def committed(self) -> ev.ItemUpdate:
        """Return the event by which the user's audio becomes an item."""
        item = UserMessageItem(item_id=self.new_id("item"), content=(InputAudio(),), status="completed")
        return self.added(item)

    def answered(self, call: ev.FunctionCall, output: str) -> ev.ItemUpdate:
        """Return the event by which a call gets its output."""
        item = RealtimeToolCallItem(
            item_id=call.item_id or call.call_id,
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            output=output,
            status="completed",
            response_id=call.response_id or None,
        )
        return ev.ItemUpdate(item=item)

    def edited(self, old: Sequence[RealtimeItem], new: Sequence[RealtimeItem]) -> list[ev.TransportEvent]:
        """Return the events by which the conversation goes from `old` to `new`.

        Raises `ConfigurationError` for an item that the API can't create, before anything is told.
        """
        kept = items_that_stay(old, new)
        events: list[ev.TransportEvent] = [ev.ItemDeleted(item.item_id) for item in old if item.item_id not in kept]
        previous: str | None = None
        for item in new:
            if item.item_id not in kept:
                events.append(ev.ItemUpdate(item=_created(item), after=previous))
            previous = item.item_id
        return events

    # Responses

    def finished(
        self,
        response: Response,
        status: str,
        *,
        details: Mapping[str, Any] | None = None,
        usage: ev.Usage | None = None,
    ) -> Iterator[ev.TransportEvent]:
        """Yield the events by which a response ends."""
        yield from self.item_finished(response, "completed" if status == "completed" else "incomplete")
        if usage is not None:
            yield ev.UsageUpdate(response.response_id, usage)
        yield ev.TurnDone(
            response_id=response.response_id,
            status=status,
            status_details=details,
            output=tuple(response.output),
            usage=usage,
        )

    def item_finished(self, response: Response, status: ItemStatus = "completed") -> Iterator[ev.TransportEvent]:
        """Yield the events by which the message that a response is at ends; none where it is at none."""
        message, response.message = response.message, None
        if message is None:
            return
        if response.spoken:
            yield ev.AudioDone(response.response_id, message.item_id, 0)
        part = AssistantAudio(response.words) if response.spoken else AssistantText(response.words)
        item = evolve(message, content=(part,), status=status)
        response.output.append(item)
        yield ev.ItemUpdate(item=item)

    def cancelled(self, response_id: str | None, reason: str) -> Iterator[ev.TransportEvent]:
        """Yield the events by which the open responses, or one of them, end when they are cancelled."""
        for response in list(self.responses.values()):
            if response_id in {None, response.response_id}:
                yield from self.finished(response, "cancelled", details={"type": "cancelled", "reason": reason})

    # What is heard

    def playback(self, item_id: str, content_index: int) -> PartPlayback | None:
        """Return how far a content part has come. When it began isn't told: there is no clock."""
        part = self._ledger.position(item_id, content_index)
        return None if part is None else evolve(part, started_at=None)

    def play(self, ms: float | None = None) -> None:
        """Let `ms` milliseconds of what is queued be heard; without it, everything that has arrived."""
        if ms is None:
            ms = sum(part.received_ms - part.played_ms for part in self._ledger.audible())
        elif self._ledger.reported:
            raise ConfigurationError(
                "the application reports what it plays: call its playback_tracker's on_play_ms() instead"
            )
        self._now += ms / 1000

    def interrupted(self, response_id: str | None = None) -> list[ev.AudioInterrupted]:
        """Cut what isn't heard yet, of everything or of one response, and return what is to be told of it."""
        parts = self._ledger.audible(response_id)
        self._ledger.cut(parts)
        return [
            ev.AudioInterrupted(
                part.response_id, part.item_id, part.content_index, part.audio_end_ms, round(part.received_ms)
            )
            for part in parts
        ]

    def barged_in(self) -> Iterator[ev.TransportEvent]:
        """Yield what follows when the user begins to speak, as `barge_in` and turn detection will have it."""
        reaction = reaction_to_speech(self._turn_detection, self._options.barge_in)
        if reaction != "ignore":
            yield from self.interrupted()
        if reaction == "cancel" or (self._turn_detection or {}).get("interrupt_response") is not False:
            yield from self.cancelled(None, "turn_detected")

    def user_spoke(self, ms: int) -> int:
        """Let the user speak for `ms` milliseconds; return where all that was said ends, in ms."""
        self._input_ms += ms
        return self._input_ms


def _created(item: RealtimeItem) -> RealtimeItem:
    """Return an item as the far end has it after it was told to create it."""
    wire_items = item_to_wire(item)
    if isinstance(item, RealtimeToolCallItem):
        return item
    return item_from_wire(wire_items[0], "completed") or item
