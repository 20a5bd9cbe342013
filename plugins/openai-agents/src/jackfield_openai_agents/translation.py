"""jackfield's common events as the SDK's model events, for one connection.

What the SDK has no word for becomes its `other` event, with jackfield's event as the data. How a connection begins and
ends is `connection`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import agents.realtime as sdk
from agents.realtime.model_events import RealtimeModelInputAudioTimeoutTriggeredEvent
from openai.types.realtime import RealtimeError

from jackfield.transport import JackfieldError, ProviderError, TransportEvent
from jackfield.transport import events as ev
from jackfield.transport.items import RealtimeToolCallItem

from .items import sdk_item
from .responses import Responses
from .usage import usage_event

__all__ = ["Translation", "told_error"]

_REMEMBERED_CALLS: Final = 512


class Translation:
    """The model events of one connection. It remembers the tool calls that were told, to tell each version once."""

    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self._calls: dict[str, sdk.RealtimeToolCallItem] = {}

    def of(self, event: TransportEvent) -> Iterable[sdk.RealtimeModelEvent]:
        """Return the model events that a common event amounts to, in order."""
        match event:
            case ev.Audio():
                self._responses.spoke(event.response_id)
                response_id = self._responses.of(event.response_id)
                return [sdk.RealtimeModelAudioEvent(event.data, response_id, event.item_id, event.content_index)]
            case ev.AudioDone():
                return [sdk.RealtimeModelAudioDoneEvent(event.item_id, event.content_index)]
            case ev.AudioInterrupted():
                return [sdk.RealtimeModelAudioInterruptedEvent(event.item_id, event.content_index)]
            case ev.AudioTranscriptDelta() | ev.OutputTextDelta():
                return [self._delta(event)]
            case ev.ItemUpdate():
                return self._item(event)
            case ev.ItemDeleted():
                self._calls.pop(event.item_id, None)
                return [sdk.RealtimeModelItemDeletedEvent(event.item_id)]
            case ev.TurnStarted():
                response_id_or_none = self._responses.began(event.response_id, in_conversation=event.in_conversation)
                if not event.in_conversation:
                    return [sdk.RealtimeModelOtherEvent(event)]
                return [sdk.RealtimeModelTurnStartedEvent(response_id=response_id_or_none)]
            case ev.TurnDone():
                if self._responses.is_beside(event.response_id):
                    return [sdk.RealtimeModelOtherEvent(event)]
                return [sdk.RealtimeModelTurnEndedEvent(response_id=self._responses.ended(event.response_id))]
            case ev.FunctionCall():
                return self._call(event)
            case ev.UsageUpdate():
                return [usage_event(event.usage)]
            case ev.InputAudioTranscriptionCompleted():
                return [
                    sdk.RealtimeModelInputAudioTranscriptionCompletedEvent(
                        item_id=event.item_id, transcript=event.transcript
                    )
                ]
            case ev.InputAudioTimeoutTriggered():
                return [
                    RealtimeModelInputAudioTimeoutTriggeredEvent(
                        item_id=event.item_id, audio_start_ms=event.audio_start_ms, audio_end_ms=event.audio_end_ms
                    )
                ]
            case ev.Error():
                return [sdk.RealtimeModelErrorEvent(told_error(event.error))]
        return [sdk.RealtimeModelOtherEvent(event)]

    def answered(self, call: sdk.RealtimeModelToolCallEvent, output: str) -> Iterable[sdk.RealtimeModelEvent]:
        """Return how a call's item is told with its output, unless it was."""
        item = sdk.RealtimeToolCallItem(
            item_id=call.id or call.call_id,
            previous_item_id=call.previous_item_id,
            call_id=call.call_id,
            status="completed",
            arguments=call.arguments,
            name=call.name,
            output=output,
        )
        return self._tool_item(item)

    def _delta(self, event: ev.AudioTranscriptDelta | ev.OutputTextDelta) -> sdk.RealtimeModelEvent:
        if self._responses.is_beside(event.response_id):
            return sdk.RealtimeModelOtherEvent(event)  # a session would take it for words of the open response
        response_id = self._responses.of(event.response_id)
        if isinstance(event, ev.OutputTextDelta):
            return sdk.RealtimeModelOutputTextDeltaEvent(event.item_id, event.delta, response_id)
        self._responses.spoke(event.response_id)
        return sdk.RealtimeModelTranscriptDeltaEvent(event.item_id, event.delta, response_id)

    def _item(self, event: ev.ItemUpdate) -> Iterable[sdk.RealtimeModelEvent]:
        item = sdk_item(event.item, event.after)
        if item is None:
            return [sdk.RealtimeModelOtherEvent(event)]
        if isinstance(item, sdk.RealtimeToolCallItem):
            return self._tool_item(item)
        return [sdk.RealtimeModelItemUpdatedEvent(item)]

    def _call(self, event: ev.FunctionCall) -> Iterable[sdk.RealtimeModelEvent]:
        item_id, call_id = event.item_id or event.call_id, event.call_id or event.item_id
        item = RealtimeToolCallItem(item_id=item_id, call_id=call_id, name=event.name, arguments=event.arguments)
        known = [] if item_id in self._calls else self._item(ev.ItemUpdate(item=item))
        return [
            *known,
            sdk.RealtimeModelToolCallEvent(name=event.name, call_id=call_id, arguments=event.arguments, id=item_id),
        ]

    def _tool_item(self, item: sdk.RealtimeToolCallItem) -> Iterable[sdk.RealtimeModelEvent]:
        known = self._calls.get(item.item_id)
        if known is not None and _same(known, item):
            return []
        self._calls[item.item_id] = item
        while len(self._calls) > _REMEMBERED_CALLS:
            del self._calls[next(iter(self._calls))]
        return [sdk.RealtimeModelItemUpdatedEvent(item)]


def told_error(error: JackfieldError) -> Any:
    """Return an error as users of the SDK know it: the API's own error object where the far end reported it."""
    if not isinstance(error, ProviderError):
        return error
    return RealtimeError(
        message=str(error),
        type=error.type or "error",
        code=error.code,
        event_id=error.event_id,
        param=error.param,
    )


def _same(one: sdk.RealtimeToolCallItem, other: sdk.RealtimeToolCallItem) -> bool:
    """Tell whether two versions differ in nothing but where they say that they stand."""
    return one.model_copy(update={"previous_item_id": other.previous_item_id}) == other
