"""The common events: what every transport tells, whatever provider and wire are behind it.

Frozen records; `type` is a class attribute, so that reading it costs nothing and every instance has it. Ids are
always present: "" where the far end gave none. A transport emits these in wire order, after the raw `*` view of the
frame that they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from attrs import field, frozen

from jackfield.audio.formats import PCM16, AudioFormat
from jackfield.errors import JackfieldError

from .items import McpCallItem, RealtimeItem

__all__ = [
    "Audio",
    "AudioDone",
    "AudioInterrupted",
    "AudioTranscriptDelta",
    "ConnectionChange",
    "ConnectionStatus",
    "DtmfReceived",
    "Error",
    "FunctionCall",
    "InputAudioTimeoutTriggered",
    "InputAudioTranscriptionCompleted",
    "InputAudioTranscriptionDelta",
    "InputAudioTranscriptionFailed",
    "ItemDeleted",
    "ItemUpdate",
    "McpApprovalRequest",
    "McpFailed",
    "McpToolCallCompleted",
    "McpToolsListed",
    "OutputTextDelta",
    "RateLimit",
    "RateLimitsUpdated",
    "SpeechStarted",
    "SpeechStopped",
    "TransportEvent",
    "TurnDone",
    "TurnStarted",
    "Usage",
    "UsageUpdate",
]

ConnectionStatus: TypeAlias = Literal["connecting", "connected", "disconnecting", "disconnected"]


@frozen
class Usage:
    """Tokens of one response, or of many added up. The details are the provider's own counts by kind."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: Mapping[str, Any] = field(factory=dict)
    output_tokens_details: Mapping[str, Any] = field(factory=dict)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.total_tokens + other.total_tokens,
            _add_details(self.input_tokens_details, other.input_tokens_details),
            _add_details(self.output_tokens_details, other.output_tokens_details),
        )


def _add_details(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    total = dict(one)
    for key, value in other.items():
        known = total.get(key)
        if isinstance(value, Mapping):
            total[key] = _add_details(known if isinstance(known, Mapping) else {}, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            total[key] = value + (known if isinstance(known, int | float) else 0)
    return total


@frozen
class RateLimit:
    """One limit: `remaining` of `limit` requests or tokens, whole again in `reset_seconds`."""

    name: str
    limit: int
    remaining: int
    reset_seconds: float


@frozen(kw_only=True)
class ConnectionChange:
    """The connection's status changed.

    On `disconnected`, `code` and `reason` are those of the close (WebSocket close code; 1006 where there was no close
    frame), `initiated_by` says whose close it was, and `error` is set where the connection did not end as one ends
    a conversation. `connecting` after `connected` says the same of a wire that was lost and is dialled again, to a
    session that goes on meanwhile.
    """

    type: ClassVar[Literal["connection_change"]] = "connection_change"
    status: ConnectionStatus
    code: int | None = None
    reason: str = ""
    initiated_by: Literal["local", "remote"] = "local"
    error: JackfieldError | None = None


@frozen
class Error:
    """Something went wrong and the transport goes on; `error` is typed and classified."""

    type: ClassVar[Literal["error"]] = "error"
    error: JackfieldError


@frozen
class TurnStarted:
    """The model began a response (API event `response.created`).

    `metadata` is what the response was asked for with, None where nothing or the far end doesn't say. A response that
    is not `in_conversation` runs beside it: its items don't enter the history.
    """

    type: ClassVar[Literal["turn_started"]] = "turn_started"
    response_id: str
    metadata: Mapping[str, Any] | None = None
    in_conversation: bool = True


@frozen(kw_only=True)
class TurnDone:
    """A response ended, in whatever way (API event `response.done`).

    `status` is completed, cancelled, failed or incomplete; `status_details` the provider's object about it; `output`
    the response's items.
    """

    type: ClassVar[Literal["turn_done"]] = "turn_done"
    response_id: str
    status: str = "completed"
    status_details: Mapping[str, Any] | None = None
    output: tuple[RealtimeItem, ...] = ()
    usage: Usage | None = None


@frozen
class Audio:
    """A chunk of the model's speech: `data` is in `format`, mono."""

    type: ClassVar[Literal["audio"]] = "audio"
    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    response_id: str
    item_id: str
    content_index: int
    format: AudioFormat = PCM16


@frozen
class AudioDone:
    """The last chunk of this content part was sent. It is generated, not yet played."""

    type: ClassVar[Literal["audio_done"]] = "audio_done"
    response_id: str
    item_id: str
    content_index: int


@frozen
class AudioInterrupted:
    """A content part was cut: stop playing it and drop what is queued.

    `played_ms` of it were heard, of the `received_ms` that had arrived (None where that isn't known).
    """

    type: ClassVar[Literal["audio_interrupted"]] = "audio_interrupted"
    response_id: str
    item_id: str
    content_index: int
    played_ms: int
    received_ms: int | None = None


@frozen
class AudioTranscriptDelta:
    """The next words of what the model says."""

    type: ClassVar[Literal["audio_transcript_delta"]] = "audio_transcript_delta"
    delta: str
    response_id: str
    item_id: str
    content_index: int


@frozen
class OutputTextDelta:
    """The next words of what the model writes."""

    type: ClassVar[Literal["output_text_delta"]] = "output_text_delta"
    delta: str
    response_id: str
    item_id: str
    content_index: int


@frozen
class InputAudioTranscriptionDelta:
    """The next words of what the user said."""

    type: ClassVar[Literal["input_audio_transcription_delta"]] = "input_audio_transcription_delta"
    delta: str
    item_id: str
    content_index: int


@frozen
class InputAudioTranscriptionCompleted:
    """What the user said, whole. It may arrive long after the model began to answer it."""

    type: ClassVar[Literal["input_audio_transcription_completed"]] = "input_audio_transcription_completed"
    transcript: str
    item_id: str
    content_index: int
    usage: Mapping[str, Any] | None = None


@frozen
class InputAudioTranscriptionFailed:
    """The user's speech could not be transcribed."""

    type: ClassVar[Literal["input_audio_transcription_failed"]] = "input_audio_transcription_failed"
    error: JackfieldError
    item_id: str
    content_index: int


@frozen
class SpeechStarted:
    """The user began to speak, at `audio_start_ms` of all audio sent; `item_id` is the item that it will become."""

    type: ClassVar[Literal["speech_started"]] = "speech_started"
    item_id: str
    audio_start_ms: int


@frozen
class SpeechStopped:
    """The user stopped speaking, at `audio_end_ms` of all audio sent, the trailing silence included."""

    type: ClassVar[Literal["speech_stopped"]] = "speech_stopped"
    item_id: str
    audio_end_ms: int


@frozen
class InputAudioTimeoutTriggered:
    """The user was silent for the configured idle time."""

    type: ClassVar[Literal["input_audio_timeout_triggered"]] = "input_audio_timeout_triggered"
    item_id: str
    audio_start_ms: int
    audio_end_ms: int


@frozen
class DtmfReceived:
    """The caller pressed a key: `digit` is 0-9, *, # or A-D; `received_at` seconds since the epoch."""

    type: ClassVar[Literal["dtmf_received"]] = "dtmf_received"
    digit: str
    received_at: float


@frozen(kw_only=True)
class FunctionCall:
    """The model calls a function: `arguments` is the JSON text as the model wrote it. Told once for each `call_id`."""

    type: ClassVar[Literal["function_call"]] = "function_call"
    name: str
    arguments: str
    call_id: str
    item_id: str
    response_id: str


@frozen(kw_only=True)
class ItemUpdate:
    """An item entered the conversation or changed. `after` says where it stands.

    `after` is the id of the item before it, None for the first place, "" where the far end did not say.
    """

    type: ClassVar[Literal["item_update"]] = "item_update"
    item: RealtimeItem
    after: str | None = ""


@frozen
class ItemDeleted:
    """An item left the conversation."""

    type: ClassVar[Literal["item_deleted"]] = "item_deleted"
    item_id: str


@frozen
class UsageUpdate:
    """What one response cost. It comes before that response's `turn_done`."""

    type: ClassVar[Literal["usage_update"]] = "usage_update"
    response_id: str
    usage: Usage


@frozen
class RateLimitsUpdated:
    """The provider's limits as they stand now."""

    type: ClassVar[Literal["rate_limits_updated"]] = "rate_limits_updated"
    rate_limits: tuple[RateLimit, ...]


@frozen
class McpToolsListed:
    """A hosted MCP server's tools are known; each is the provider's mapping with `name` and `input_schema`."""

    type: ClassVar[Literal["mcp_tools_listed"]] = "mcp_tools_listed"
    server_label: str
    tools: tuple[Mapping[str, Any], ...]
    item_id: str


@frozen(kw_only=True)
class McpApprovalRequest:
    """The far end asks whether it may make this MCP call; answer with `send_mcp_response`."""

    type: ClassVar[Literal["mcp_approval_request"]] = "mcp_approval_request"
    item_id: str
    server_label: str
    name: str
    arguments: str


@frozen
class McpToolCallCompleted:
    """A hosted MCP call ended; its item holds the output or the error."""

    type: ClassVar[Literal["mcp_tool_call_completed"]] = "mcp_tool_call_completed"
    item: McpCallItem


@frozen
class McpFailed:
    """A hosted MCP server could not list its tools (`stage` list_tools), or a call failed (`stage` call)."""

    type: ClassVar[Literal["mcp_failed"]] = "mcp_failed"
    stage: Literal["list_tools", "call"]
    item_id: str


TransportEvent: TypeAlias = (
    ConnectionChange
    | Error
    | TurnStarted
    | TurnDone
    | Audio
    | AudioDone
    | AudioInterrupted
    | AudioTranscriptDelta
    | OutputTextDelta
    | InputAudioTranscriptionDelta
    | InputAudioTranscriptionCompleted
    | InputAudioTranscriptionFailed
    | SpeechStarted
    | SpeechStopped
    | InputAudioTimeoutTriggered
    | DtmfReceived
    | FunctionCall
    | ItemUpdate
    | ItemDeleted
    | UsageUpdate
    | RateLimitsUpdated
    | McpToolsListed
    | McpApprovalRequest
    | McpToolCallCompleted
    | McpFailed
)
