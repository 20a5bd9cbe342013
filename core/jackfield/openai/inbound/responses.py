"""A response from its creation to its end: words, audio, and how the far end plays it.

Each handler is named after the event that it takes; the table in this package says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jackfield.bounded import remember
from jackfield.errors import AuthenticationError, ProtocolError, ProviderError, redact
from jackfield.openai.codec import decode_audio
from jackfield.openai.error_table import error_from_payload
from jackfield.openai.state import ConnectionState
from jackfield.openai.wire_items import copied, item_from_wire, text_of
from jackfield.transport import events as ev
from jackfield.transport.items import ItemStatus

from .fields import NOTHING, Events, Message, audio_format, integer_of, mapping_of, usage_of
from .items import function_call

__all__ = [
    "audio_delta",
    "audio_done",
    "heard",
    "nothing",
    "part_added",
    "playback_cleared",
    "playback_started",
    "playback_stopped",
    "response_created",
    "response_done",
    "text_delta",
    "transcript_delta",
]


def audio_delta(state: ConnectionState, message: Message) -> Events:
    """Nine of ten frames are this one: it is written out rather than called together."""
    get = message.get
    response_id, item_id, index = get("response_id"), get("item_id"), get("content_index")
    if type(response_id) is not str:
        response_id = ""
    if response_id in state.discarded:
        return NOTHING
    if type(item_id) is not str:
        item_id = ""
    if type(index) is not int:
        index = 0
    try:
        data = decode_audio(message["delta"])
    except (KeyError, ValueError, TypeError):
        return (ev.Error(ProtocolError("an audio delta is no base64; it was ignored")),)
    audio_format = state.response_formats.get(response_id, state.output_format)
    now = state.clock()
    state.ledger.received(response_id, item_id, index, len(data), audio_format, now)
    state.sequencer.heard(now)
    return (ev.Audio(data, response_id, item_id, index, audio_format),)


def audio_done(state: ConnectionState, message: Message) -> Events:
    item_id, index = text_of(message, "item_id"), integer_of(message, "content_index")
    if state.remote is not None:
        return NOTHING  # the last of it is heard later, and told then
    state.ledger.done(item_id, index)
    return (ev.AudioDone(text_of(message, "response_id"), item_id, index),)


def transcript_delta(state: ConnectionState, message: Message) -> Events:
    state.sequencer.heard(state.clock())
    return (
        ev.AudioTranscriptDelta(
            text_of(message, "delta"),
            text_of(message, "response_id"),
            text_of(message, "item_id"),
            integer_of(message, "content_index"),
        ),
    )


def text_delta(state: ConnectionState, message: Message) -> Events:
    state.sequencer.heard(state.clock())
    return (
        ev.OutputTextDelta(
            text_of(message, "delta"),
            text_of(message, "response_id"),
            text_of(message, "item_id"),
            integer_of(message, "content_index"),
        ),
    )


def response_created(state: ConnectionState, message: Message) -> Events:
    response = mapping_of(message, "response")
    response_id = text_of(response, "id")
    state.failure = None  # whatever was said before, the session goes on
    state.ended.pop(response_id, None)
    if response.get("conversation_id"):
        state.sees_conversation_ids = True
    detached = response.get("conversation_id", "") is None
    out_of_band = detached and bool(state.sees_conversation_ids or state.out_of_band_asked)
    if out_of_band:
        state.out_of_band_asked = max(0, state.out_of_band_asked - 1)
        remember(state.out_of_band, response_id, None)
    else:
        state.reactions += state.sequencer.created(response_id, now=state.clock())
    told = mapping_of(mapping_of(response, "audio"), "output").get("format")
    remember(state.response_formats, response_id, audio_format(told, state.output_format))
    metadata = response.get("metadata")
    known = copied(metadata) if isinstance(metadata, Mapping) else None
    return (ev.TurnStarted(response_id, known, in_conversation=not out_of_band),)


def response_done(state: ConnectionState, message: Message) -> Events:
    response = mapping_of(message, "response")
    response_id = text_of(response, "id")
    if response_id in state.ended:
        state.reactions += state.sequencer.done(response_id, now=state.clock())  # where it had been given up
        return NOTHING
    if response_id:
        remember(state.ended, response_id, None)
    output = response.get("output")
    wire_items = [item for item in output if isinstance(item, Mapping)] if isinstance(output, list) else []
    status = text_of(response, "status") or "completed"
    left: ItemStatus = "completed" if status == "completed" else "incomplete"
    events: list[ev.TransportEvent] = []
    for wire_item in wire_items:
        if wire_item.get("type") == "function_call":
            events += function_call(state, wire_item, response_id, left)
    usage = usage_of(response.get("usage"))
    if usage is not None:
        events.append(ev.UsageUpdate(response_id, usage))
    told = response.get("status_details")
    details = copied(told, lambda said: redact(said, *state.secrets)) if isinstance(told, Mapping) else None
    if status == "failed":
        events.append(ev.Error(_failure(details)))
    items = (item_from_wire(item, left, response_id) for item in wire_items)
    events.append(
        ev.TurnDone(
            response_id=response_id,
            status=status,
            status_details=details,
            output=tuple(item for item in items if item is not None),
            usage=usage,
        )
    )
    state.ledger.response_done(response_id)
    if state.remote is not None:
        state.remote.generated(response_id, whole=status == "completed")
    state.response_formats.pop(response_id, None)
    state.discarded.pop(response_id, None)
    if response_id in state.out_of_band:
        del state.out_of_band[response_id]
    else:
        state.reactions += state.sequencer.done(response_id, now=state.clock())
    return events


def _failure(details: Mapping[str, Any] | None) -> ProviderError | AuthenticationError:
    failure = error_from_payload({"message": "the response failed", **mapping_of(details or {}, "error")})
    if failure.classification == "rejected":
        failure.classification = "retry_turn"
    return failure


def part_added(state: ConnectionState, message: Message) -> Events:
    if state.capabilities.playback == "server" and mapping_of(message, "part").get("type") in ("audio", "output_audio"):
        key = (text_of(message, "item_id"), integer_of(message, "content_index"))
        remember(state.spoken_parts, text_of(message, "response_id"), key)
    return NOTHING


def playback_started(state: ConnectionState, message: Message) -> Events:
    response_id = text_of(message, "response_id")
    if state.remote is not None:
        return state.remote.started(response_id)
    part = state.spoken_parts.get(response_id)
    if part is not None:
        state.ledger.playing(response_id, *part)
    return NOTHING


def playback_stopped(state: ConnectionState, message: Message) -> Events:
    response_id = text_of(message, "response_id")
    if state.remote is not None:
        state.remote.stopped(response_id)
        return NOTHING
    part = state.spoken_parts.pop(response_id, None)
    if part is not None:
        state.ledger.stopped(*part)
    return NOTHING


def playback_cleared(state: ConnectionState, message: Message) -> Events:
    """The far end cut what it was playing: by itself on speech, or because we asked."""
    response_id = text_of(message, "response_id")
    if state.remote is not None:
        return state.remote.cleared(response_id)
    part = state.spoken_parts.pop(response_id, None)
    if part is None or not state.ledger.stopped(*part):
        return NOTHING  # nothing was playing, or its interruption was told when it was asked for
    heard = state.ledger.position(*part)
    return (ev.AudioInterrupted(response_id, *part, 0 if heard is None else heard.audio_end_ms),)


def heard(state: ConnectionState, message: Message) -> Events:
    """Nothing to tell, but the response is alive."""
    state.sequencer.heard(state.clock())
    return NOTHING


def nothing(state: ConnectionState, message: Message) -> Events:
    return NOTHING
