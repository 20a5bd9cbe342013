"""The model's responses: where one begins and ends, and what is told of it. The provider only sends content.

A response begins with its first content. It ends with `turnComplete`, or where the model calls functions: it goes on
when they are answered, and that is another response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import define, field

from jackfield.audio import PCM16, PlaybackLedger, Resampler
from jackfield.transport.events import (
    Audio,
    AudioDone,
    AudioInterrupted,
    AudioTranscriptDelta,
    ItemUpdate,
    OutputTextDelta,
    TransportEvent,
    TurnDone,
    TurnStarted,
    Usage,
    UsageUpdate,
)
from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    ContentPart,
    ItemStatus,
    RealtimeToolCallItem,
)

from .items import Conversation

__all__ = ["Response", "Responses"]

Kind: TypeAlias = Literal["audio", "text"]

_MAX_WORDS = 1 << 20
"""Characters of one response that are kept for its item; more than that is told and not kept."""


@define(eq=False)
class Response:
    """One response: what was told of it so far."""

    response_id: str
    item_id: str
    parts: dict[Kind, int] = field(factory=dict)
    """The content index of each kind of content, in the order in which they came."""
    words: dict[Kind, str] = field(factory=dict)
    calls: list[RealtimeToolCallItem] = field(factory=list)
    audio_open: bool = False
    generated: bool = False
    """Whether the provider said that all of it is generated."""
    cut: bool = False
    """Whether its generation was interrupted."""
    silenced: bool = False
    """Whether the application interrupted it: what still comes is told to nobody."""
    usage: Usage | None = None
    audio_ms: float = 0.0

    def message(self, status: ItemStatus) -> AssistantMessageItem:
        """Return the item of what was said and written."""
        content: list[ContentPart] = []
        for kind in self.parts:
            words = self.words.get(kind, "")
            content.append(AssistantAudio(words or None) if kind == "audio" else AssistantText(words))
        return AssistantMessageItem(
            item_id=self.item_id, content=tuple(content), status=status, response_id=self.response_id
        )


class Responses:
    """The responses of one session, of which one at most is active."""

    def __init__(self, conversation: Conversation, ledger: PlaybackLedger, clock: Callable[[], float]) -> None:
        self._conversation = conversation
        self._ledger = ledger
        self._clock = clock
        self.active: Response | None = None
        self.last: Response | None = None
        """The response that ended last: words of it may come late."""
        self._resampler: Resampler | None = None

    def begin(self, *, silenced: bool = False) -> list[TransportEvent]:
        """Begin a response."""
        new_id = self._conversation.new_id
        self.active = Response(new_id("resp"), new_id("item"), silenced=silenced, cut=silenced)
        self._resampler = None
        return [TurnStarted(self.active.response_id)]

    def audio(self, data: bytes, rate: int) -> list[TransportEvent]:
        """Take audio of the active response."""
        response = self.active
        if response is None or response.silenced or response.cut:
            return []
        if rate != PCM16.rate:
            if self._resampler is None or self._resampler.in_rate != rate:
                self._resampler = Resampler(rate, PCM16.rate)
            data = self._resampler.process(data)
        if not data:
            return []
        events, index = self._part(response, "audio")
        response.audio_open = True
        response.audio_ms += PCM16.duration_ms(len(data))
        self._ledger.received(response.response_id, response.item_id, index, len(data), PCM16, self._clock())
        events.append(Audio(data, response.response_id, response.item_id, index))
        return events

    def spoken(self, text: str) -> list[TransportEvent]:
        """Take words that the active response says."""
        return self._words("audio", text)

    def written(self, text: str) -> list[TransportEvent]:
        """Take words that the active response writes."""
        return self._words("text", text)

    def spoken_late(self, text: str) -> list[TransportEvent]:
        """Take words of the response that ended last."""
        response = self.last
        if response is None or response.silenced or "audio" not in response.parts:
            return []
        self._keep(response, "audio", text)
        ids = (response.response_id, response.item_id, response.parts["audio"])
        status: ItemStatus = "incomplete" if response.cut else "completed"
        return [AudioTranscriptDelta(text, *ids), ItemUpdate(item=response.message(status))]

    def generated(self) -> list[TransportEvent]:
        """Note that all of the active response is generated."""
        if self.active is None:
            return []
        self.active.generated = True
        return self._audio_done(self.active)

    def interrupt(self, response_id: str | None = None) -> list[TransportEvent]:
        """Cut what is audible, of one response or of all."""
        parts = self._ledger.audible(response_id)
        self._ledger.cut(parts)
        return [
            AudioInterrupted(
                part.response_id, part.item_id, part.content_index, part.audio_end_ms, round(part.received_ms)
            )
            for part in parts
        ]

    def silence(self) -> list[TransportEvent]:
        """Tell no more of the active response, but that it ends."""
        response = self.active
        if response is None or response.silenced:
            return []
        response.silenced = True
        response.cut = response.cut or not response.generated
        events = self._audio_done(response)
        if response.parts:
            events.append(ItemUpdate(item=response.message("incomplete" if response.cut else "completed")))
        return events

    def called(self, item: RealtimeToolCallItem) -> ItemUpdate:
        """Add a function call to the active response."""
        assert self.active is not None
        self.active.calls.append(item)
        return self._conversation.added(item)

    def cost_late(self, usage: Usage) -> list[TransportEvent]:
        """Tell what the response cost that has ended last."""
        return [] if self.last is None else [UsageUpdate(self.last.response_id, usage)]

    def end(
        self, status: Literal["completed", "failed", "incomplete"], reason: str | None = None
    ) -> list[TransportEvent]:
        """End the active response; one whose generation was cut is cancelled."""
        response, self.active = self.active, None
        if response is None:
            return []
        self.last = response
        told_as: str = status
        if response.cut and status != "failed":
            told_as, reason = "cancelled", "interrupted"
        left: ItemStatus = "completed" if told_as == "completed" else "incomplete"
        events = self._audio_done(response)
        self._ledger.response_done(response.response_id)
        message = response.message(left)
        if response.parts and not response.silenced:
            events.append(ItemUpdate(item=message))
        if response.usage is not None:
            events.append(UsageUpdate(response.response_id, response.usage))
        events.append(
            TurnDone(
                response_id=response.response_id,
                status=told_as,
                status_details=None if reason is None else {"type": told_as, "reason": reason},
                output=(*((message,) if response.parts else ()), *response.calls),
                usage=response.usage,
            )
        )
        response.calls = []
        return events

    def _words(self, kind: Kind, text: str) -> list[TransportEvent]:
        response = self.active
        if response is None or response.silenced or not text:
            return []
        events, index = self._part(response, kind)
        self._keep(response, kind, text)
        delta = AudioTranscriptDelta if kind == "audio" else OutputTextDelta
        events.append(delta(text, response.response_id, response.item_id, index))
        return events

    def _keep(self, response: Response, kind: Kind, text: str) -> None:
        known = response.words.get(kind, "")
        if len(known) < _MAX_WORDS:
            response.words[kind] = known + text

    def _part(self, response: Response, kind: Kind) -> tuple[list[TransportEvent], int]:
        """Return the content index of a kind of content; with its first content the item is told."""
        known = response.parts.get(kind)
        if known is not None:
            return [], known
        is_new = not response.parts
        index = response.parts[kind] = len(response.parts)
        item = response.message("in_progress")
        return [self._conversation.added(item) if is_new else ItemUpdate(item=item)], index

    def _audio_done(self, response: Response) -> list[TransportEvent]:
        if not response.audio_open:
            return []
        response.audio_open = False
        index = response.parts["audio"]
        self._ledger.done(response.item_id, index)
        return [AudioDone(response.response_id, response.item_id, index)]
