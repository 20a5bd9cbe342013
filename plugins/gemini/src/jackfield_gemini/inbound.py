"""What the provider says, as common events: one method for each member of its messages.

Parse only what is used, and nothing strictly: a missing or odd field costs that field. Nothing keeps a reference into
the message.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
import pybase64
from attrs import evolve

from jackfield.audio import PCM16
from jackfield.transport import ProtocolError, ProviderError, TransportEvent
from jackfield.transport.events import Error, FunctionCall, ItemUpdate, Usage
from jackfield.transport.items import RealtimeToolCallItem

from .calls import Calls
from .fields import Message, flag_of, list_of, mapping_of, seconds_of, text_of
from .items import Conversation
from .requests import Requests
from .responses import Responses
from .session_setup import Settings
from .speech import UserSpeech
from .usage import usage_of

__all__ = ["Inbound"]

Events = list[TransportEvent]

_NORMAL_ENDS: Final = frozenset({"", "TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"})
_MOST_UNKNOWN: Final = 64
_LATE_SECONDS: Final = 2.0
"""Within so many seconds of a response's end words that come are taken for its last ones."""
_MAX_TEXT: Final = 512
_RATES: Final = range(8_000, 48_001)


class Inbound:
    """The receiving half of the dialect. What is to be sent in reaction is in `reactions`."""

    def __init__(
        self,
        responses: Responses,
        speech: UserSpeech,
        calls: Calls,
        requests: Requests,
        conversation: Conversation,
        *,
        sent_ms: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.acknowledged = False
        self.handle: str | None = None
        """The newest handle of a state that can be taken up."""
        self.resumable = False
        """Whether the session can be taken up as it is now, and nothing is lost."""
        self.leaving = False
        """Whether the far end said that it goes away."""
        self.interrupted_by_us = False
        """Whether the interruption that comes is that of a message of ours, and not of speech."""
        self.reactions: list[dict[str, Any]] = []
        self.unknown: Counter[str] = Counter()
        self._responses = responses
        self._speech = speech
        self._calls = calls
        self._requests = requests
        self._conversation = conversation
        self._sent_ms = sent_ms
        self._clock = clock
        self._batches = 0
        self._riding: Usage | None = None
        """What the message that is being taken says of the cost."""
        self._ended_at = -math.inf
        """When a response ended last."""
        self._expected = False
        """Whether there is reason for another response: else words that come belong to the last one."""
        self._members: Mapping[str, Callable[[Message, Settings], Events]] = {
            "setupComplete": self._setup_complete,
            "serverContent": self._server_content,
            "toolCall": self._tool_call,
            "toolCallCancellation": self._tool_call_cancellation,
            "goAway": self._go_away,
            "sessionResumptionUpdate": self._resumption,
            "voiceActivity": self._voice_activity,
        }

    def take(self, message: Message, settings: Settings) -> Events:
        """Take a message and return what it amounts to."""
        events: Events = []
        usage = message.get("usageMetadata")
        if isinstance(usage, Mapping):  # it rides along with the end of a turn, and is told before that
            self._riding = usage_of(usage)
            self._settle_cost()
        for key, value in message.items():
            take = self._members.get(key)
            if take is not None:
                events += take(value if isinstance(value, Mapping) else {}, settings)
            elif key != "usageMetadata":
                name = key[:100]
                self.unknown[name if name in self.unknown or len(self.unknown) < _MOST_UNKNOWN else "(others)"] += 1
        if self._riding is not None:
            events += self._responses.cost_late(self._riding)
            self._riding = None
        return events

    def rejoined(self) -> None:
        """Forget what belonged to the socket that was lost."""
        self.leaving = self.resumable = self.interrupted_by_us = False
        self._expected = True

    # The session

    def _setup_complete(self, told: Message, settings: Settings) -> Events:
        self.acknowledged = True
        return []

    def _go_away(self, told: Message, settings: Settings) -> Events:
        self.leaving = True
        return []

    def _resumption(self, told: Message, settings: Settings) -> Events:
        self.resumable = flag_of(told, "resumable")
        handle = text_of(told, "newHandle")
        if self.resumable and handle:
            self.handle = handle
        return []

    # What the user does

    def _voice_activity(self, told: Message, settings: Settings) -> Events:
        offset = seconds_of(told, "audioOffset")
        at = self._sent_ms() if offset is None else offset * 1000
        match text_of(told, "type") or text_of(told, "voiceActivityType"):  # the API's name, and its documentation's
            case "ACTIVITY_START":
                events = self._speech.started(at)
                self._expected = True
                if settings.interrupts and self._responses.active is None:
                    events += self._responses.interrupt()  # it is only played still: the provider takes it for heard
                return events
            case "ACTIVITY_END":
                return self._speech.stopped(at)
        return []

    def _input_words(self, told: Message) -> Events:
        self._expected = True
        return self._speech.transcribed(text_of(told, "text"), finished=flag_of(told, "finished"))

    # What the model says

    def _server_content(self, told: Message, settings: Settings) -> Events:
        """Nine of ten messages are this one, and most of them hold one part of audio."""
        events: Events = []
        if "inputTranscription" in told:
            events += self._input_words(mapping_of(told, "inputTranscription"))
        if "modelTurn" in told:
            for part in list_of(mapping_of(told, "modelTurn"), "parts"):
                if isinstance(part, Mapping):
                    events += self._part(part)
        if "outputTranscription" in told:
            events += self._output_words(text_of(mapping_of(told, "outputTranscription"), "text"))
        if flag_of(told, "generationComplete"):
            events += self._responses.generated()
        if flag_of(told, "interrupted"):
            events += self._interrupted()
        if flag_of(told, "turnComplete"):
            events += self._turn_complete(text_of(told, "turnCompleteReason"))
        return events

    def _part(self, part: Message) -> Events:
        if flag_of(part, "thought"):
            return []
        text = text_of(part, "text")
        if text:
            return self._active() + self._responses.written(text)
        blob = mapping_of(part, "inlineData")
        kind = text_of(blob, "mimeType")
        if not kind.startswith("audio/"):
            return []
        try:
            data = pybase64.b64decode(text_of(blob, "data"), validate=True)
        except ValueError:
            return [Error(ProtocolError("audio of the far end is no base64; it was ignored"))]
        if not kind.startswith(("audio/pcm", "audio/l16")):
            return [Error(ProtocolError(f"the far end speaks {kind[:64]!r}, which isn't PCM; it was ignored"))]
        return self._active() + self._responses.audio(data, _rate(kind))

    def _output_words(self, text: str) -> Events:
        if not text:
            return []
        if self._responses.active is not None:
            return self._responses.spoken(text)
        late = self._clock() - self._ended_at <= _LATE_SECONDS and not self._expected
        if late and self._requests.asked is None:
            return self._responses.spoken_late(text)
        return self._active() + self._responses.spoken(text)

    def _active(self) -> Events:
        """Begin a response, unless one is active that isn't yet generated."""
        active = self._responses.active
        if active is not None and not active.generated:
            return []
        events = self._end("completed") if active is not None else []
        events += self._speech.answered(asked=self._requests.asked == "request")
        self._expected = False
        events += self._responses.begin(silenced=self._requests.answered())
        self._settle_cost()
        return events

    def _settle_cost(self) -> None:
        """Put down what rides along to the response that is active, once there is one."""
        if self._responses.active is not None and self._riding is not None:
            self._responses.active.usage, self._riding = self._riding, None

    def _interrupted(self) -> Events:
        ours, self.interrupted_by_us = self.interrupted_by_us, False
        events: Events = [] if ours else self._speech.started(self._sent_ms())
        self._expected = True
        events += self._responses.interrupt()
        active = self._responses.active
        if active is not None and not active.generated:
            active.cut = True
        return events

    def _turn_complete(self, reason: str) -> Events:
        self.interrupted_by_us = False
        if self._responses.active is None:
            if self._requests.asked != "request" or self._calls.waiting:
                return []
            events = self._active()  # what was asked for is answered, with nothing
        else:
            events = []
        self._requests.ended = True
        self._ended_at = self._clock()
        if reason in _NORMAL_ENDS:
            return events + self._end("completed")
        failed = ProviderError(
            f"the far end ended the turn: {reason[:_MAX_TEXT]}", code=reason[:_MAX_TEXT], classification="retry_turn"
        )
        events += [Error(failed), *self._speech.settle_answered()]
        return events + self._responses.end("failed", reason[:_MAX_TEXT])

    def _end(self, status: Any) -> Events:
        return self._speech.settle_answered() + self._responses.end(status)

    # Function calls

    def _tool_call(self, told: Message, settings: Settings) -> Events:
        given = [call for call in list_of(told, "functionCalls") if isinstance(call, Mapping) and text_of(call, "name")]
        unnamed = [call for call in given if not text_of(call, "id")]
        named = {text_of(call, "id"): call for call in reversed(given) if not self._calls.knows(text_of(call, "id"))}
        calls = [call for call in given if call in unnamed or named.get(text_of(call, "id")) is call]
        if not calls:
            return []
        events = self._active()
        response = self._responses.active
        assert response is not None
        self._batches += 1
        pairs = [(self._item(call, response.response_id), bool(text_of(call, "id"))) for call in calls]
        self._calls.add(pairs, self._batches, over=response.silenced)
        self._requests.covered_at = None
        if not response.silenced:
            for item, _ in pairs:
                events.append(self._responses.called(item))
                events.append(
                    FunctionCall(
                        name=item.name,
                        arguments=item.arguments,
                        call_id=item.call_id,
                        item_id=item.item_id,
                        response_id=response.response_id,
                    )
                )
        return events + self._responses.generated() + self._end("completed")

    def _item(self, call: Message, response_id: str) -> RealtimeToolCallItem:
        call_id = text_of(call, "id") or self._conversation.new_id("call")
        return RealtimeToolCallItem(
            item_id=self._conversation.new_id("item"),
            call_id=call_id,
            name=text_of(call, "name"),
            arguments=orjson.dumps(dict(mapping_of(call, "args"))).decode(),
            response_id=response_id,
        )

    def _tool_call_cancellation(self, told: Message, settings: Settings) -> Events:
        events: Events = []
        for call_id in list_of(told, "ids"):
            item = self._calls.end(call_id, "cancelled") if isinstance(call_id, str) else None
            if item is None:
                continue
            events.append(ItemUpdate(item=evolve(item, status="incomplete")))
            if self._calls.complete(call_id):  # the others were waiting for this one
                self._requests.sent("request", self._clock())
                self.reactions.append({"toolResponse": {"functionResponses": self._calls.flush()}})
        return events


def _rate(kind: str) -> int:
    """Return the sample rate of "audio/pcm;rate=24000"."""
    _, _, rate = kind.partition("rate=")
    digits = rate.partition(";")[0].strip()
    value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 7 else PCM16.rate
    return value if value in _RATES else PCM16.rate
