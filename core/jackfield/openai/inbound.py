"""Server events to common events: one small function for each, in a table by type.

Parse only what is used, and nothing strictly: a missing or odd field costs that field. No function keeps a reference
into the message: after it returns the message belongs to whoever listens to `*`. Beta names are aliases (the API's
preview, and servers modelled on it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from attrs import evolve

from jackfield.audio.formats import AudioFormat, UnknownAudioFormatError
from jackfield.errors import AuthenticationError, ProtocolError, ProviderError, TransportError, redact
from jackfield.transport import events as ev
from jackfield.transport.items import ItemStatus, McpApprovalRequestItem, McpCallItem, McpListToolsItem, ToolCallItem

from .codec import decode_audio
from .error_table import ERROR_CODES, error_from_payload
from .interruption import reaction_to_speech
from .state import ConnectionState, count, remember
from .wire_items import copied, item_from_wire, text_of

__all__ = ["HANDLERS"]

Events: TypeAlias = Iterable[ev.TransportEvent]
Message: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[[ConnectionState, Message], Events]

_NOTHING: tuple[ev.TransportEvent, ...] = ()


def _audio_delta(state: ConnectionState, message: Message) -> Events:
    """Nine of ten frames are this one: it is written out rather than called together."""
    get = message.get
    response_id, item_id, index = get("response_id"), get("item_id"), get("content_index")
    if type(response_id) is not str:
        response_id = ""
    if response_id in state.discarded:
        return _NOTHING
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


def _audio_done(state: ConnectionState, message: Message) -> Events:
    item_id, index = text_of(message, "item_id"), _integer(message, "content_index")
    state.ledger.done(item_id, index)
    return (ev.AudioDone(text_of(message, "response_id"), item_id, index),)


def _transcript_delta(state: ConnectionState, message: Message) -> Events:
    state.sequencer.heard(state.clock())
    return (
        ev.AudioTranscriptDelta(
            text_of(message, "delta"),
            text_of(message, "response_id"),
            text_of(message, "item_id"),
            _integer(message, "content_index"),
        ),
    )


def _text_delta(state: ConnectionState, message: Message) -> Events:
    state.sequencer.heard(state.clock())
    return (
        ev.OutputTextDelta(
            text_of(message, "delta"),
            text_of(message, "response_id"),
            text_of(message, "item_id"),
            _integer(message, "content_index"),
        ),
    )


def _session(state: ConnectionState, message: Message) -> Events:
    session = message.get("session")
    if isinstance(session, Mapping):
        audio = _mapping(session, "audio")
        # The beta's session is flat; the GA one is nested. A server that echoes but a part of it changes but that.
        told = _mapping(audio, "output").get("format", session.get("output_audio_format"))
        state.output_format = _format(told, state.output_format)
        for given in (_mapping(audio, "input"), session):
            if "turn_detection" in given:
                state.turn_detection = copied(_mapping(given, "turn_detection"))
                break
        if state.tracker is not None:
            state.tracker.set_audio_format(state.output_format)
    if state.opening_event_id is None:
        state.acknowledged = True
    return _NOTHING


def _session_updated(state: ConnectionState, message: Message) -> Events:
    state.acknowledged = True
    return _session(state, message)


def _error(state: ConnectionState, message: Message) -> Events:
    payload = message.get("error")
    if not isinstance(payload, Mapping):
        payload = {"message": text_of(message, "error") or text_of(message, "message")}
    error = error_from_payload(payload, *state.secrets)
    code = error.code if isinstance(error, ProviderError) else "invalid_api_key"
    event_id = error.event_id if isinstance(error, ProviderError) else None
    if code is not None and code not in ERROR_CODES:
        count(state.unknown_codes, code)
    if error.classification in {"fatal", "reconnect"}:
        state.failure = error
    if _refuses_opening(state, error, event_id):
        state.refusal = error
        return _NOTHING  # connect() raises it
    absorbed, frames = state.sequencer.refused(code, event_id, str(error), now=state.clock())
    state.reactions += frames
    ours = event_id is not None and event_id.startswith("jf_")
    if absorbed or (error.classification == "benign" and ours):
        return _NOTHING  # a race of our own making, dealt with; `*` still shows it
    return (ev.Error(error),)


def _refuses_opening(state: ConnectionState, error: TransportError, event_id: str | None) -> bool:
    """Whether it answers the opening; that happens once, and what comes after is told like any error."""
    if state.acknowledged or state.refusal is not None:
        return False
    answers = state.opening_event_id is not None and event_id in {None, state.opening_event_id}
    return answers or error.classification == "fatal"


def _response_created(state: ConnectionState, message: Message) -> Events:
    response = _mapping(message, "response")
    response_id = text_of(response, "id")
    state.failure = None  # whatever was said before, the session goes on
    if response.get("conversation_id"):
        state.sees_conversation_ids = True
    detached = response.get("conversation_id", "") is None
    if detached and (state.sees_conversation_ids or state.out_of_band_asked):
        state.out_of_band_asked = max(0, state.out_of_band_asked - 1)
        remember(state.out_of_band, response_id, None)
    else:
        state.reactions += state.sequencer.created(response_id, now=state.clock())
    told = _mapping(_mapping(response, "audio"), "output").get("format")
    remember(state.response_formats, response_id, _format(told, state.output_format))
    return (ev.TurnStarted(response_id),)


def _response_done(state: ConnectionState, message: Message) -> Events:
    response = _mapping(message, "response")
    response_id = text_of(response, "id")
    output = response.get("output")
    wire_items = [item for item in output if isinstance(item, Mapping)] if isinstance(output, list) else []
    status = text_of(response, "status") or "completed"
    left: ItemStatus = "completed" if status == "completed" else "incomplete"
    events: list[ev.TransportEvent] = []
    for wire_item in wire_items:
        if wire_item.get("type") == "function_call":
            events += _function_call(state, wire_item, response_id, left)
    usage = _usage(response.get("usage"))
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
    state.response_formats.pop(response_id, None)
    state.discarded.pop(response_id, None)
    if response_id in state.out_of_band:
        del state.out_of_band[response_id]
    else:
        state.reactions += state.sequencer.done(response_id, now=state.clock())
    return events


def _failure(details: Mapping[str, Any] | None) -> ProviderError | AuthenticationError:
    failure = error_from_payload({"message": "the response failed", **_mapping(details or {}, "error")})
    if failure.classification == "rejected":
        failure.classification = "retry_turn"
    return failure


def _output_item_added(state: ConnectionState, message: Message) -> Events:
    return _output_item(state, message, "in_progress")


def _output_item_done(state: ConnectionState, message: Message) -> Events:
    return _output_item(state, message, "completed")


def _output_item(state: ConnectionState, message: Message, status: ItemStatus) -> Events:
    wire_item = _mapping(message, "item")
    response_id = text_of(message, "response_id")
    if wire_item.get("type") == "function_call":
        return _function_call(state, wire_item, response_id, status)
    if response_id in state.out_of_band:
        return _NOTHING  # its items don't enter the conversation; `turn_done` has them
    item = item_from_wire(wire_item, status, response_id)
    return _NOTHING if item is None else (ev.ItemUpdate(item=item),)


def _function_call(
    state: ConnectionState, wire_item: Message, response_id: str, status: ItemStatus = "completed"
) -> list[ev.TransportEvent]:
    """A call is visible in several events; it is told once, when it is complete."""
    item = item_from_wire(wire_item, status, response_id)
    if not isinstance(item, ToolCallItem) or item.status != "completed":
        return []
    known = state.calls.get(item.call_id)
    if known is not None:
        if (known.name, known.arguments) == (item.name, item.arguments):
            return []
        changed = f"the call {item.call_id!r} came again with another function or other arguments; it was ignored"
        return [ev.Error(ProtocolError(changed))]
    item = evolve(item, status="in_progress")  # until its output is known
    state.remember_call(item)
    call = ev.FunctionCall(
        name=item.name,
        arguments=item.arguments,
        call_id=item.call_id,
        item_id=item.item_id,
        response_id=response_id,
    )
    return [call] if response_id in state.out_of_band else [ev.ItemUpdate(item=item), call]


def _item_added(state: ConnectionState, message: Message) -> Events:
    return _conversation_item(state, message, "in_progress")


def _item_done(state: ConnectionState, message: Message) -> Events:
    events = _conversation_item(state, message, "completed")
    return [inner for event in events for inner in (event, *_mcp(event))]


def _item_retrieved(state: ConnectionState, message: Message) -> Events:
    return _conversation_item(state, message, "completed")


def _conversation_item(state: ConnectionState, message: Message, status: ItemStatus) -> Events:
    wire_item = _mapping(message, "item")
    after = message.get("previous_item_id", "")
    if isinstance(after, str):
        after = state.aliases.get(after, after)
    elif after is not None:
        after = ""
    if wire_item.get("type") == "function_call_output":
        return _call_output(state, wire_item)
    if wire_item.get("type") == "mcp_approval_response":
        state.remember_follower(text_of(wire_item, "id"), text_of(wire_item, "approval_request_id"))
        return _NOTHING
    item = item_from_wire(wire_item, status)
    if item is None:
        return _NOTHING
    if isinstance(item, ToolCallItem):
        known = state.calls.get(item.call_id)
        item = known if known is not None else evolve(item, status="in_progress")
    return (ev.ItemUpdate(item=item, after=after),)


def _mcp(event: ev.TransportEvent) -> list[ev.TransportEvent]:
    match event.item if isinstance(event, ev.ItemUpdate) else None:
        case McpListToolsItem() as item:
            return [ev.McpToolsListed(item.server_label, item.tools, item.item_id)]
        case McpApprovalRequestItem() as item:
            request = ev.McpApprovalRequest(
                item_id=item.item_id, server_label=item.server_label, name=item.name, arguments=item.arguments
            )
            return [request]
        case McpCallItem() as item if item.output is not None or item.error is not None:
            return [ev.McpToolCallCompleted(item)]
    return []


def _call_output(state: ConnectionState, wire_item: Message) -> Events:
    """Our own output comes back, or another writer's arrives: either way it belongs to the call's item."""
    call = state.calls.get(text_of(wire_item, "call_id"))
    if call is None:
        return _NOTHING
    state.remember_follower(text_of(wire_item, "id"), call.item_id)
    output = text_of(wire_item, "output")
    if call.output == output:
        return _NOTHING
    call = evolve(call, output=output, status="completed")
    state.remember_call(call)
    return (ev.ItemUpdate(item=call),)


def _item_deleted(state: ConnectionState, message: Message) -> Events:
    item_id = text_of(message, "item_id")
    if state.aliases.pop(item_id, None) is not None:
        return _NOTHING  # it was no item of its own
    return (ev.ItemDeleted(item_id),)


def _item_truncated(state: ConnectionState, message: Message) -> Events:
    if state.capabilities.truncate == "server":
        item_id, index = text_of(message, "item_id"), _integer(message, "content_index")
        state.ledger.truncated(item_id, index, _integer(message, "audio_end_ms"))
    return _NOTHING


def _transcription_delta(state: ConnectionState, message: Message) -> Events:
    item_id, index = text_of(message, "item_id"), _integer(message, "content_index")
    return (ev.InputAudioTranscriptionDelta(text_of(message, "delta"), item_id, index),)


def _transcription_segment(state: ConnectionState, message: Message) -> Events:
    item_id, index = text_of(message, "item_id"), _integer(message, "content_index")
    return (ev.InputAudioTranscriptionDelta(text_of(message, "text"), item_id, index),)


def _transcription_completed(state: ConnectionState, message: Message) -> Events:
    usage = message.get("usage")
    return (
        ev.InputAudioTranscriptionCompleted(
            text_of(message, "transcript"),
            text_of(message, "item_id"),
            _integer(message, "content_index"),
            copied(usage) if isinstance(usage, Mapping) else None,
        ),
    )


def _transcription_failed(state: ConnectionState, message: Message) -> Events:
    payload = {"message": "the transcription failed", **_mapping(message, "error")}
    error = error_from_payload(payload, *state.secrets)
    item_id, index = text_of(message, "item_id"), _integer(message, "content_index")
    return (ev.InputAudioTranscriptionFailed(error, item_id, index),)


def _speech_started(state: ConnectionState, message: Message) -> Events:
    events: list[ev.TransportEvent] = [
        ev.SpeechStarted(text_of(message, "item_id"), _integer(message, "audio_start_ms"))
    ]
    reaction = reaction_to_speech(state.turn_detection, state.barge_in)
    if reaction != "ignore":
        frames, told = state.interrupt(cancel=reaction == "cancel")
        state.reactions += frames
        events += told
    return events


def _speech_stopped(state: ConnectionState, message: Message) -> Events:
    return (ev.SpeechStopped(text_of(message, "item_id"), _integer(message, "audio_end_ms")),)


def _timeout_triggered(state: ConnectionState, message: Message) -> Events:
    return (
        ev.InputAudioTimeoutTriggered(
            text_of(message, "item_id"), _integer(message, "audio_start_ms"), _integer(message, "audio_end_ms")
        ),
    )


def _dtmf(state: ConnectionState, message: Message) -> Events:
    digit = text_of(message, "event") or text_of(message, "digit")
    return (ev.DtmfReceived(digit, _number(message, "received_at")),)


def _rate_limits(state: ConnectionState, message: Message) -> Events:
    told = message.get("rate_limits")
    limits = tuple(
        ev.RateLimit(
            text_of(limit, "name"),
            _integer(limit, "limit"),
            _integer(limit, "remaining"),
            _number(limit, "reset_seconds"),
        )
        for limit in (told if isinstance(told, list) else ())
        if isinstance(limit, Mapping)
    )
    return (ev.RateLimitsUpdated(limits),)


def _list_tools_failed(state: ConnectionState, message: Message) -> Events:
    return (ev.McpFailed("list_tools", text_of(message, "item_id")),)


def _mcp_call_failed(state: ConnectionState, message: Message) -> Events:
    return (ev.McpFailed("call", text_of(message, "item_id")),)


def _part_added(state: ConnectionState, message: Message) -> Events:
    if state.capabilities.playback == "server" and _mapping(message, "part").get("type") in ("audio", "output_audio"):
        key = (text_of(message, "item_id"), _integer(message, "content_index"))
        remember(state.spoken_parts, text_of(message, "response_id"), key)
    return _NOTHING


def _playback_started(state: ConnectionState, message: Message) -> Events:
    response_id = text_of(message, "response_id")
    part = state.spoken_parts.get(response_id)
    if part is not None:
        state.ledger.playing(response_id, *part)
    return _NOTHING


def _playback_stopped(state: ConnectionState, message: Message) -> Events:
    part = state.spoken_parts.pop(text_of(message, "response_id"), None)
    if part is not None:
        state.ledger.stopped(*part)
    return _NOTHING


def _playback_cleared(state: ConnectionState, message: Message) -> Events:
    """The far end cut what it was playing: by itself on speech, or because we asked."""
    response_id = text_of(message, "response_id")
    part = state.spoken_parts.pop(response_id, None)
    if part is None or not state.ledger.stopped(*part):
        return _NOTHING  # nothing was playing, or its interruption was told when it was asked for
    heard = state.ledger.position(*part)
    return (ev.AudioInterrupted(response_id, *part, 0 if heard is None else heard.audio_end_ms),)


def _heard(state: ConnectionState, message: Message) -> Events:
    """Nothing to tell, but the response is alive."""
    state.sequencer.heard(state.clock())
    return _NOTHING


def _nothing(state: ConnectionState, message: Message) -> Events:
    return _NOTHING


def _integer(message: Message, key: str) -> int:
    value = message.get(key)
    return value if type(value) is int else 0


def _number(message: Message, key: str) -> float:
    value = message.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _mapping(message: Message, key: str) -> Mapping[str, Any]:
    value = message.get(key)
    return value if isinstance(value, Mapping) else {}


def _format(told: Any, otherwise: AudioFormat) -> AudioFormat:
    if isinstance(told, Mapping):
        told = {"type": text_of(told, "type"), "rate": _integer(told, "rate") or None}
    if not isinstance(told, str | Mapping):
        return otherwise
    try:
        return AudioFormat.parse(told)
    except UnknownAudioFormatError:
        return otherwise


def _usage(told: Any) -> ev.Usage | None:
    if not isinstance(told, Mapping):
        return None
    spent, made = _integer(told, "input_tokens"), _integer(told, "output_tokens")
    return ev.Usage(
        requests=1,
        input_tokens=spent,
        output_tokens=made,
        total_tokens=_integer(told, "total_tokens") or spent + made,
        input_tokens_details=copied(_mapping(told, "input_token_details")),
        output_tokens_details=copied(_mapping(told, "output_token_details")),
    )


HANDLERS: Mapping[str, Handler] = {
    "session.created": _session,
    "session.updated": _session_updated,
    "error": _error,
    "conversation.created": _nothing,
    "conversation.item.added": _item_added,
    "conversation.item.created": _item_added,
    "conversation.item.done": _item_done,
    "conversation.item.retrieved": _item_retrieved,
    "conversation.item.truncated": _item_truncated,
    "conversation.item.deleted": _item_deleted,
    "conversation.item.input_audio_transcription.delta": _transcription_delta,
    "conversation.item.input_audio_transcription.segment": _transcription_segment,
    "conversation.item.input_audio_transcription.completed": _transcription_completed,
    "conversation.item.input_audio_transcription.failed": _transcription_failed,
    "input_audio_buffer.committed": _nothing,
    "input_audio_buffer.cleared": _nothing,
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "input_audio_buffer.timeout_triggered": _timeout_triggered,
    "input_audio_buffer.dtmf_event_received": _dtmf,
    "output_audio_buffer.started": _playback_started,
    "output_audio_buffer.stopped": _playback_stopped,
    "output_audio_buffer.cleared": _playback_cleared,
    "response.created": _response_created,
    "response.done": _response_done,
    "response.output_item.added": _output_item_added,
    "response.output_item.done": _output_item_done,
    "response.content_part.added": _part_added,
    "response.content_part.done": _nothing,
    "response.output_text.delta": _text_delta,
    "response.output_text.done": _nothing,
    "response.output_audio.delta": _audio_delta,
    "response.output_audio.done": _audio_done,
    "response.output_audio_transcript.delta": _transcript_delta,
    "response.output_audio_transcript.done": _nothing,
    "response.function_call_arguments.delta": _heard,
    "response.function_call_arguments.done": _nothing,
    "response.mcp_call_arguments.delta": _heard,
    "response.mcp_call_arguments.done": _nothing,
    "response.mcp_call.in_progress": _nothing,
    "response.mcp_call.completed": _nothing,
    "response.mcp_call.failed": _mcp_call_failed,
    "mcp_list_tools.in_progress": _nothing,
    "mcp_list_tools.completed": _nothing,
    "mcp_list_tools.failed": _list_tools_failed,
    "rate_limits.updated": _rate_limits,
    # Beta names.
    "response.text.delta": _text_delta,
    "response.text.done": _nothing,
    "response.audio.delta": _audio_delta,
    "response.audio.done": _audio_done,
    "response.audio_transcript.delta": _transcript_delta,
    "response.audio_transcript.done": _nothing,
    "transcription_session.created": _session,
    "transcription_session.updated": _session_updated,
}
