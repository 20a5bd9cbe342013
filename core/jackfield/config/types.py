"""The configuration's dictionaries as types: every key, what it means, its unit and its default.

Nothing is required unless it says so. At runtime they are plain dictionaries, which `check` judges. Names that a
provider may add to (models, voices, kinds of turn detection) are open: the known ones are listed, any other is allowed.
Audio and turn taking are in `audio_types`, messages in `message_types`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Required, TypeAlias, TypedDict

from .audio_types import (
    RealtimeAudioConfig,
    RealtimeAudioFormat,
    RealtimeInputAudioNoiseReductionConfig,
    RealtimeInputAudioTranscriptionConfig,
    RealtimeTurnDetectionConfig,
    RealtimeVoice,
)

if TYPE_CHECKING:
    from jackfield.agent import RealtimeAgent, Tool
    from jackfield.audio import RealtimePlaybackTracker
    from jackfield.budget import Budget
    from jackfield.guardrails import OutputGuardrail, OutputGuardrailResult
    from jackfield.handoffs import Handoff
    from jackfield.tools import ToolErrorFormatter
    from jackfield.transport import ApiKey

__all__ = [
    "Prompt",
    "RealtimeGuardrailsSettings",
    "RealtimeModelConfig",
    "RealtimeModelName",
    "RealtimeModelTracingConfig",
    "RealtimeReasoningConfig",
    "RealtimeReasoningEffort",
    "RealtimeRunConfig",
    "RealtimeSessionModelSettings",
    "RealtimeToolChoice",
    "RealtimeToolChoiceFunction",
    "RealtimeToolChoiceMcp",
    "RealtimeToolExecutionConfig",
    "RealtimeTruncation",
    "RealtimeTruncationRetentionRatio",
    "RealtimeTruncationTokenLimits",
]

Modality: TypeAlias = Literal["audio", "text"]
IncludeField: TypeAlias = Literal["item.input_audio_transcription.logprobs"]
ToolChoiceMode: TypeAlias = Literal["auto", "none", "required"]
TruncationMode: TypeAlias = Literal["auto", "disabled"]
FeedbackRole: TypeAlias = Literal["user", "system"]
ToolJoin: TypeAlias = Literal["response", "call"]
ReasoningEffortName: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh"]

RealtimeModelName: TypeAlias = (
    Literal[
        "gpt-realtime",
        "gpt-realtime-1.5",
        "gpt-realtime-2",
        "gpt-realtime-2.1",
        "gpt-realtime-2.1-mini",
        "gpt-realtime-2025-08-28",
        "gpt-realtime-mini",
        "gpt-realtime-mini-2025-10-06",
        "gpt-realtime-mini-2025-12-15",
        "gpt-4o-realtime-preview",
        "gpt-4o-realtime-preview-2024-10-01",
        "gpt-4o-realtime-preview-2024-12-17",
        "gpt-4o-realtime-preview-2025-06-03",
        "gpt-4o-mini-realtime-preview",
        "gpt-4o-mini-realtime-preview-2024-12-17",
    ]
    | str
)
"""A realtime model; on Azure the name of the deployment."""

RealtimeReasoningEffort: TypeAlias = ReasoningEffortName | str
"""How much a reasoning model thinks before it speaks."""


class Prompt(TypedDict, total=False):
    """A prompt that is stored with the provider. What the session sets itself wins over what the prompt sets."""

    id: Required[str]
    """The prompt's id. Required."""

    version: str | None
    """Its version, a str. Default: the current one."""

    variables: Mapping[str, Any] | None
    """Values for its placeholders, passed on untouched."""


class RealtimeReasoningConfig(TypedDict, total=False):
    """Reasoning. Only reasoning models have it."""

    effort: RealtimeReasoningEffort
    """How much is thought. Default: the model's own."""


class RealtimeModelTracingConfig(TypedDict, total=False):
    """How the provider files its traces of the session."""

    workflow_name: str
    """The name that the trace goes by."""

    group_id: str
    """What ties several traces together."""

    metadata: Mapping[str, Any]
    """Anything to find the trace by, passed on untouched."""


class RealtimeTruncationTokenLimits(TypedDict, total=False):
    """Limits that truncation keeps to."""

    post_instructions: int
    """How many tokens the conversation may have beside instructions and tools. Default: what the model can take."""


class RealtimeTruncationRetentionRatio(TypedDict, total=False):
    """Truncation that cuts more than it must, so that it seldom has to, and the provider's cache holds longer."""

    type: Required[Literal["retention_ratio"]]
    """Always `retention_ratio`. Required."""

    retention_ratio: Required[float]
    """The part of the permitted tokens that is kept, from 0 to 1. Required."""

    token_limits: RealtimeTruncationTokenLimits
    """Limits of one's own."""


RealtimeTruncation: TypeAlias = TruncationMode | RealtimeTruncationRetentionRatio
"""What happens when the conversation outgrows the model: its oldest part goes (`auto`), or an error (`disabled`)."""


class RealtimeToolChoiceFunction(TypedDict):
    """The model must call this function."""

    type: Literal["function"]
    """Always `function`. Required."""

    name: str
    """The function's name. Required."""


class RealtimeToolChoiceMcp(TypedDict):
    """The model must call a tool of this MCP server."""

    type: Literal["mcp"]
    """Always `mcp`. Required."""

    server_label: str
    """The server's label among the session's tools. Required."""

    name: NotRequired[str | None]
    """Which of its tools. Default: any."""


RealtimeToolChoice: TypeAlias = ToolChoiceMode | str | RealtimeToolChoiceFunction | RealtimeToolChoiceMcp
"""Whether the model may (`auto`), must (`required`) or must not (`none`) call tools, or which: a name is a tool's."""


class RealtimeSessionModelSettings(TypedDict, total=False):
    """What the model is told about the session: the API's own nested keys, and the older flat ones.

    Where both are given the nested one wins. A key that isn't given keeps its default, None switches a thing off where
    the API can. `jackfield.transport.UNSET` as a value is the same as leaving the key out.
    """

    type: Literal["realtime"]
    """The kind of session. It is always this one, and sent without being asked for."""

    model: RealtimeModelName
    """The model. Default: the transport's. A running session can't change it."""

    model_name: RealtimeModelName
    """The same as `model`."""

    instructions: str
    """What the model is to do and how. The agent's own are used where this is left out."""

    prompt: Prompt | None
    """A stored prompt. Default: the agent's, or none."""

    output_modalities: list[Modality]
    """["audio"], which comes with its transcript, or ["text"]. Default: ["audio"]."""

    modalities: list[Modality]
    """The older name of `output_modalities`, where "audio" and "text" together mean audio."""

    audio: RealtimeAudioConfig | None
    """Formats, voice, transcription and turn taking, nested as the API has them."""

    voice: RealtimeVoice
    """The same as `audio.output.voice`."""

    speed: float
    """The same as `audio.output.speed`."""

    input_audio_format: RealtimeAudioFormat | None
    """The same as `audio.input.format`."""

    output_audio_format: RealtimeAudioFormat | None
    """The same as `audio.output.format`."""

    input_audio_transcription: RealtimeInputAudioTranscriptionConfig | None
    """The same as `audio.input.transcription`."""

    input_audio_noise_reduction: RealtimeInputAudioNoiseReductionConfig | None
    """The same as `audio.input.noise_reduction`."""

    turn_detection: RealtimeTurnDetectionConfig | None
    """The same as `audio.input.turn_detection`."""

    tools: list[Tool | Mapping[str, Any]]
    """Tools in place of the starting agent's; a hosted MCP server can be a mapping too. [] takes them away."""

    handoffs: list[RealtimeAgent[Any] | Handoff]
    """Handoffs in place of the starting agent's."""

    tool_choice: RealtimeToolChoice
    """Which tools the model calls. Default: auto."""

    parallel_tool_calls: bool
    """Whether one response may call several tools. Only reasoning models have it. Default: the model's own."""

    max_output_tokens: int | Literal["inf"]
    """The most tokens that a response may have, tool calls included: 1 to 4096, or "inf". Default: "inf"."""

    max_response_output_tokens: int | Literal["inf"]
    """The older name of `max_output_tokens`."""

    reasoning: RealtimeReasoningConfig
    """How much the model thinks. Only reasoning models have it."""

    truncation: RealtimeTruncation
    """What happens when the conversation outgrows the model. Default: auto."""

    include: list[IncludeField] | None
    """What the server is to send besides. Default: nothing."""

    tracing: Literal["auto"] | RealtimeModelTracingConfig | None
    """The provider's own traces of the session; once on they can't be changed. Default: None, there are none."""

    provider_data: Mapping[str, Any]
    """Keys that jackfield doesn't know, spelt as they go over the wire. They are merged last and are not looked at."""


class RealtimeGuardrailsSettings(TypedDict, total=False):
    """How output guardrails run."""

    debounce_text_length: int
    """After how many more characters of the answer they run again, 1 or more. Default: 100."""

    feedback_message: str | Callable[[Sequence[OutputGuardrailResult]], str] | None
    """What the model is told when some have tripped: text, or a function of their results that returns it; None:
    nothing. Default: their names."""

    feedback_role: FeedbackRole
    """Whose message that is. Default: user."""

    hold_back_ms: int | None
    """How much audio is kept back, in milliseconds, so that a guardrail can stop it unheard. Default: None, none is."""


class RealtimeToolExecutionConfig(TypedDict, total=False):
    """How tools run."""

    pre_approval_tool_input_guardrails: bool
    """Whether a tool's input guardrails run before its approval is asked for, as well as before it runs. Default:
    False."""

    respond_to_mcp_calls: bool
    """Whether the model is asked to go on when a hosted MCP call has ended. Default: True."""

    max_concurrency: int
    """How many of the session's tool calls run at once, 1 or more. Default: 16."""

    join: ToolJoin
    """When the model is asked to go on: once all of a response's calls have their outputs (`response`), or with each
    output (`call`). Default: response."""


class RealtimeRunConfig(TypedDict, total=False):
    """The configuration of a run: what a `RealtimeRunner` or a `RealtimeSession` takes as `config`."""

    model_settings: RealtimeSessionModelSettings | None
    """What the model is told about the session."""

    output_guardrails: list[OutputGuardrail] | None
    """Guardrails for every agent's answers, beside the agents' own. Default: none."""

    guardrails_settings: RealtimeGuardrailsSettings | None
    """How guardrails run."""

    tracing_disabled: bool
    """Whether the provider is kept from tracing the session, whatever `model_settings` say. Default: False."""

    async_tool_calls: bool
    """Whether tools run while events keep coming, or one after another. Default: True."""

    tool_execution: RealtimeToolExecutionConfig | None
    """How tools run."""

    tool_error_formatter: ToolErrorFormatter | None
    """A function that words for the model what went wrong with a tool. Default: None, the built-in wording."""

    budget: Budget | Mapping[str, Any] | None
    """What the session may use up: a `Budget`, or a mapping of its fields. Default: None, there is no limit."""


class RealtimeModelConfig(TypedDict, total=False):
    """How one run reaches the model: what `RealtimeRunner.run` takes as `model_config`. None is as good as no key."""

    api_key: ApiKey | None
    """The key, or a sync or async function that returns it, asked at every dial. Default: the transport's environment
    variable."""

    url: str | None
    """Where to connect, used as given. Default: the transport's."""

    headers: Mapping[str, str] | None
    """The handshake's headers. When given, even empty, no Authorization header is added."""

    call_id: str | None
    """An existing call to join, in place of a new session."""

    initial_model_settings: RealtimeSessionModelSettings | None
    """Settings that win over the run configuration's `model_settings`, key by key."""

    playback_tracker: RealtimePlaybackTracker | None
    """Where the application reports what it has played. Default: audio is taken to play at once, in real time."""
