"""What a session tells: typed events, each with `type` and, those of the session's own, with `info`.

Beside them the stream carries, as they are, those common events of the transport that need no more said:
`connection_change`, `speech_started`, `speech_stopped`, `input_audio_transcription_completed` and `_failed`,
`dtmf_received`, `usage_update`, `rate_limits_updated`, `mcp_tools_listed`, `mcp_tool_call_completed` and `mcp_failed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from attrs import field, frozen

from jackfield.agent import RealtimeAgent
from jackfield.errors import JackfieldError
from jackfield.guardrails import OutputGuardrailResult
from jackfield.hosted_mcp import HostedMCPTool
from jackfield.run_context import RunContextWrapper
from jackfield.tools import FunctionTool
from jackfield.transport.events import (
    Audio,
    ConnectionChange,
    DtmfReceived,
    InputAudioTranscriptionCompleted,
    InputAudioTranscriptionFailed,
    McpFailed,
    McpToolCallCompleted,
    McpToolsListed,
    RateLimitsUpdated,
    SpeechStarted,
    SpeechStopped,
    UsageUpdate,
)
from jackfield.transport.items import RealtimeItem

from .turn_metrics import TurnMetrics

__all__ = [
    "RealtimeAgentEndEvent",
    "RealtimeAgentStartEvent",
    "RealtimeAudio",
    "RealtimeAudioEnd",
    "RealtimeAudioInterrupted",
    "RealtimeAudioStart",
    "RealtimeBudgetExceeded",
    "RealtimeBudgetWarning",
    "RealtimeError",
    "RealtimeEventInfo",
    "RealtimeEventsDropped",
    "RealtimeGuardrailTripped",
    "RealtimeHandoffEvent",
    "RealtimeHistoryAdded",
    "RealtimeHistoryUpdated",
    "RealtimeInputAudioTimeoutTriggered",
    "RealtimeMcpToolsChanged",
    "RealtimeRawModelEvent",
    "RealtimeSessionEvent",
    "RealtimeToolApprovalRequired",
    "RealtimeToolEnd",
    "RealtimeToolStart",
    "RealtimeTranscriptDelta",
    "RealtimeTurnMetrics",
]


@frozen
class RealtimeEventInfo:
    """What every event of a session carries: the run's context. The same object in all of them."""

    context: RunContextWrapper[Any] = field(repr=False)


@frozen
class RealtimeAgentStartEvent:
    """An agent began to answer: a response started."""

    type: ClassVar[Literal["agent_start"]] = "agent_start"
    agent: RealtimeAgent
    info: RealtimeEventInfo
    response_id: str = ""


@frozen
class RealtimeAgentEndEvent:
    """A response ended; `agent` is the one that gave it, whoever speaks now. `output` is the text of its last message.

    `status` is completed, cancelled, failed or incomplete.
    """

    type: ClassVar[Literal["agent_end"]] = "agent_end"
    agent: RealtimeAgent
    info: RealtimeEventInfo
    response_id: str = ""
    status: str = "completed"
    output: str = ""


@frozen
class RealtimeHandoffEvent:
    """The conversation passed from one agent to another: the model handed over, or `update_agent` was called."""

    type: ClassVar[Literal["handoff"]] = "handoff"
    from_agent: RealtimeAgent
    to_agent: RealtimeAgent
    info: RealtimeEventInfo


@frozen
class RealtimeToolApprovalRequired:
    """A call waits for `session.approve_tool_call(call_id)` or `reject_tool_call(call_id)`.

    For a hosted MCP tool `tool` is the `HostedMCPTool` of its server (None where no agent of ours declared that),
    `tool_name` the tool's name on the server, and `call_id` the id of the request.
    """

    type: ClassVar[Literal["tool_approval_required"]] = "tool_approval_required"
    agent: RealtimeAgent
    tool: FunctionTool | HostedMCPTool | None
    call_id: str
    arguments: str
    info: RealtimeEventInfo
    tool_name: str = ""
    response_id: str = ""


@frozen
class RealtimeToolStart:
    """A tool is about to run."""

    type: ClassVar[Literal["tool_start"]] = "tool_start"
    agent: RealtimeAgent
    tool: FunctionTool
    arguments: str
    info: RealtimeEventInfo
    call_id: str = ""
    response_id: str = ""


@frozen
class RealtimeToolEnd:
    """A tool ended and its output was sent. `output` is what it returned, or what the model was told of its failure.

    `error` is what it raised, also where the model was told of it; None where it returned, or wasn't run.
    """

    type: ClassVar[Literal["tool_end"]] = "tool_end"
    agent: RealtimeAgent
    tool: FunctionTool
    arguments: str
    output: Any
    info: RealtimeEventInfo
    call_id: str = ""
    response_id: str = ""
    error: Exception | None = field(default=None, repr=False)


@frozen
class RealtimeAudioStart:
    """The first audio of a response arrived."""

    type: ClassVar[Literal["audio_start"]] = "audio_start"
    info: RealtimeEventInfo
    item_id: str
    content_index: int
    response_id: str = ""


@frozen
class RealtimeAudio:
    """A chunk of speech: the bytes are `audio.data`, in `audio.format`."""

    type: ClassVar[Literal["audio"]] = "audio"
    audio: Audio
    item_id: str
    content_index: int
    info: RealtimeEventInfo


@frozen
class RealtimeAudioEnd:
    """All audio of a content part was delivered. It is generated, not yet played."""

    type: ClassVar[Literal["audio_end"]] = "audio_end"
    info: RealtimeEventInfo
    item_id: str
    content_index: int


@frozen
class RealtimeAudioInterrupted:
    """Stop playing this content part and drop what is queued; `played_ms` of it were heard."""

    type: ClassVar[Literal["audio_interrupted"]] = "audio_interrupted"
    info: RealtimeEventInfo
    item_id: str
    content_index: int
    played_ms: int = 0
    response_id: str = ""


@frozen
class RealtimeTranscriptDelta:
    """The next words of either side, as they come. `source` tells whether they were spoken or written."""

    type: ClassVar[Literal["transcript_delta"]] = "transcript_delta"
    role: Literal["user", "assistant"]
    source: Literal["audio", "text"]
    delta: str
    item_id: str
    content_index: int
    info: RealtimeEventInfo
    response_id: str = ""


@frozen
class RealtimeHistoryAdded:
    """An item entered the history."""

    type: ClassVar[Literal["history_added"]] = "history_added"
    item: RealtimeItem
    info: RealtimeEventInfo


@frozen
class RealtimeHistoryUpdated:
    """The history changed. `history` is the list as it stands when it is looked at: several changes are one event."""

    type: ClassVar[Literal["history_updated"]] = "history_updated"
    _snapshot: Callable[[], list[RealtimeItem]] = field(repr=False)
    info: RealtimeEventInfo

    @property
    def history(self) -> list[RealtimeItem]:
        """The items, in the conversation's order. A new list, yours."""
        return self._snapshot()


@frozen
class RealtimeGuardrailTripped:
    """Output guardrails stopped a response; `message` is what they judged. Told once for each response."""

    type: ClassVar[Literal["guardrail_tripped"]] = "guardrail_tripped"
    guardrail_results: list[OutputGuardrailResult]
    message: str
    info: RealtimeEventInfo
    response_id: str = ""
    item_id: str = ""


@frozen
class RealtimeInputAudioTimeoutTriggered:
    """The user was silent for the configured idle time."""

    type: ClassVar[Literal["input_audio_timeout_triggered"]] = "input_audio_timeout_triggered"
    info: RealtimeEventInfo
    item_id: str = ""
    audio_start_ms: int = 0
    audio_end_ms: int = 0


@frozen
class RealtimeMcpToolsChanged:
    """The hosted MCP tools that the agent may use changed. Each is the server's mapping, with its `server_label`."""

    type: ClassVar[Literal["mcp_tools_changed"]] = "mcp_tools_changed"
    tools: tuple[Mapping[str, Any], ...]
    info: RealtimeEventInfo


@frozen
class RealtimeTurnMetrics:
    """When the milestones of a turn were reached. It comes when the turn was heard to its end, or was cut."""

    type: ClassVar[Literal["turn_metrics"]] = "turn_metrics"
    metrics: TurnMetrics
    info: RealtimeEventInfo


@frozen
class RealtimeBudgetWarning:
    """The share of a budget that warns is used up: `used` of `limit`, in tokens, seconds or units of the prices."""

    type: ClassVar[Literal["budget_warning"]] = "budget_warning"
    kind: Literal["tokens", "seconds", "cost"]
    used: float
    limit: float
    info: RealtimeEventInfo


@frozen
class RealtimeBudgetExceeded:
    """A budget is used up: the agent says goodbye, and the session ends."""

    type: ClassVar[Literal["budget_exceeded"]] = "budget_exceeded"
    kind: Literal["tokens", "seconds", "cost"]
    used: float
    limit: float
    info: RealtimeEventInfo


@frozen
class RealtimeEventsDropped:
    """The stream was read too slowly: `count` bulky events (audio, words, raw) were dropped since this was told last.

    `size` is what they held, in bytes. Listeners had them nevertheless.
    """

    type: ClassVar[Literal["events_dropped"]] = "events_dropped"
    count: int
    size: int
    info: RealtimeEventInfo


@frozen
class RealtimeError:
    """Something went wrong and the session goes on. `error.classification` says how bad it is."""

    type: ClassVar[Literal["error"]] = "error"
    error: JackfieldError
    info: RealtimeEventInfo


@frozen
class RealtimeRawModelEvent:
    """The provider's own event, as parsed JSON. It comes before the events that it amounts to."""

    type: ClassVar[Literal["raw_model_event"]] = "raw_model_event"
    data: Mapping[str, Any]
    info: RealtimeEventInfo


RealtimeSessionEvent: TypeAlias = (
    RealtimeAgentStartEvent
    | RealtimeAgentEndEvent
    | RealtimeHandoffEvent
    | RealtimeToolApprovalRequired
    | RealtimeToolStart
    | RealtimeToolEnd
    | RealtimeAudioStart
    | RealtimeAudio
    | RealtimeAudioEnd
    | RealtimeAudioInterrupted
    | RealtimeTranscriptDelta
    | RealtimeHistoryAdded
    | RealtimeHistoryUpdated
    | RealtimeGuardrailTripped
    | RealtimeInputAudioTimeoutTriggered
    | RealtimeMcpToolsChanged
    | RealtimeTurnMetrics
    | RealtimeBudgetWarning
    | RealtimeBudgetExceeded
    | RealtimeEventsDropped
    | RealtimeError
    | RealtimeRawModelEvent
    | ConnectionChange
    | SpeechStarted
    | SpeechStopped
    | InputAudioTranscriptionCompleted
    | InputAudioTranscriptionFailed
    | DtmfReceived
    | UsageUpdate
    | RateLimitsUpdated
    | McpToolsListed
    | McpToolCallCompleted
    | McpFailed
)
