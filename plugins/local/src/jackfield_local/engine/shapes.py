"""What the API accepts in a `session`, in a `response` and as a conversation item: the checks, and nothing else.

Defaults and merging are in `config`. The names and limits are those of the GA Realtime API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jackfield_local.engine.errors import (
    ApiError,
    above_maximum,
    below_minimum,
    invalid_type,
    invalid_value,
    missing_parameter,
)
from jackfield_local.engine.mcp_tools import MCP_TOOL
from jackfield_local.engine.schema import (
    Check,
    anything,
    array,
    boolean,
    enum,
    integer,
    json_object,
    nullable,
    number,
    record,
    string,
    tagged,
    union,
)

__all__ = [
    "CLIENT_EVENTS",
    "CREATE_RESPONSE",
    "ITEM",
    "MIN_COMMIT_MS",
    "REALTIME_SESSION",
    "TRANSCRIPTION_SESSION",
    "VOICES",
]

VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
MIN_COMMIT_MS: Final = 100
"""Milliseconds of audio that a commit by the client needs."""

_MAX_METADATA = 16
_ID: Final = string(longest=512)


def _sample_rate(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_type(path, "an integer", value)
    if value < 24_000:
        raise below_minimum(path, 24_000, value, "integer")
    if value > 24_000:
        raise above_maximum(path, 24_000, value, "integer")


def _output_modalities(value: Any, path: str) -> None:
    array(enum("text", "audio"))(value, path)
    if value not in (["audio"], ["text"]):
        message = f"Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio']."
        raise ApiError(message, code="invalid_value", param=path)


def _max_output_tokens(value: Any, path: str) -> None:
    if value == "inf":
        return
    if isinstance(value, str):
        raise invalid_value(value, path, ("inf",))
    integer(1, 4096)(value, path)


def _metadata(value: Any, path: str) -> None:
    json_object(value, path)
    if len(value) > _MAX_METADATA:
        message = (
            f"Invalid '{path}': too many properties. Expected at most {_MAX_METADATA}, but got {len(value)} instead."
        )
        raise ApiError(message, code="object_above_max_properties", param=path)
    for name, text in value.items():
        string(longest=64)(name, path)
        string(longest=512)(text, f"{path}.{name}")


_VOICE_NAME: Final = enum(*VOICES)
_FORMAT: Final = tagged(
    "type",
    {
        "audio/pcm": record({"type": anything, "rate": _sample_rate}),
        "audio/pcmu": record({"type": anything}),
        "audio/pcma": record({"type": anything}),
    },
)
_VOICE: Final = union(text=_VOICE_NAME, structure=record({"id": string(shortest=1)}, required=["id"]))
_TURN_DETECTION: Final = tagged(
    "type",
    {
        "server_vad": record(
            {
                "type": anything,
                "threshold": number(0, 1),
                "prefix_padding_ms": integer(0),
                "silence_duration_ms": integer(0),
                "idle_timeout_ms": nullable(integer(5_000, 30_000)),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
        "semantic_vad": record(
            {
                "type": anything,
                "eagerness": enum("low", "medium", "high", "auto"),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
    },
)
_TRANSCRIPTION: Final = record(
    {
        "model": nullable(string()),
        "language": nullable(string()),
        "languages": nullable(array(string())),
        "keywords": nullable(array(string())),
        "prompt": nullable(string()),
        "delay": nullable(enum("minimal", "low", "medium", "high", "xhigh")),
    }
)
_NOISE_REDUCTION: Final = record(
    {"type": enum("near_field", "far_field"), "strength": number(0, 1)},
    required=["type"],
)
_FUNCTION: Final = record(
    {
        "type": anything,
        "name": string(shortest=1, longest=128),
        "description": nullable(string()),
        "parameters": nullable(json_object),
    },
    required=["name"],
)

_TOOLS: Final = array(tagged("type", {"function": _FUNCTION, "mcp": MCP_TOOL}))
_TOOL_CHOICE: Final = union(
    text=enum("none", "auto", "required"),
    structure=tagged(
        "type",
        {
            "function": record({"type": anything, "name": string(shortest=1)}, required=["name"]),
            "mcp": record(
                {"type": anything, "server_label": string(shortest=1), "name": nullable(string())},
                required=["server_label"],
            ),
        },
    ),
)
_REASONING: Final = record({"effort": nullable(enum("minimal", "low", "medium", "high", "xhigh"))})
_PROMPT: Final = record(
    {"id": string(shortest=1), "version": nullable(string()), "variables": nullable(json_object)}, required=["id"]
)
_TRUNCATION: Final = union(
    text=enum("auto", "disabled"),
    structure=record(
        {
            "type": enum("retention_ratio"),
            "retention_ratio": number(0, 1),
            "token_limits": nullable(record({"post_instructions": integer(0)})),
        },
        required=["type", "retention_ratio"],
    ),
)
_TRACING: Final = union(
    text=enum("auto"),
    structure=record(
        {"workflow_name": nullable(string()), "group_id": nullable(string()), "metadata": nullable(json_object)}
    ),
)
_INCLUDE: Final = array(enum("item.input_audio_transcription.logprobs"))
_AUDIO_INPUT: Final = record(
    {
        "format": _FORMAT,
        "transcription": nullable(_TRANSCRIPTION),
        "noise_reduction": nullable(_NOISE_REDUCTION),
        "turn_detection": nullable(_TURN_DETECTION),
    }
)

REALTIME_SESSION: Final[Check] = record(
    {
        "type": anything,
        "model": string(shortest=1),
        "output_modalities": _output_modalities,
        "instructions": string(),
        "audio": record(
            {
                "input": _AUDIO_INPUT,
                "output": record({"format": _FORMAT, "voice": _VOICE, "speed": number(0.25, 1.5)}),
            }
        ),
        "tools": _TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "max_output_tokens": _max_output_tokens,
        "parallel_tool_calls": nullable(boolean),
        "reasoning": nullable(_REASONING),
        "truncation": _TRUNCATION,
        "prompt": nullable(_PROMPT),
        "tracing": nullable(_TRACING),
        "include": nullable(_INCLUDE),
    }
)
"""A `session` of type "realtime", whole or in part."""

TRANSCRIPTION_SESSION: Final[Check] = record(
    {"type": anything, "audio": record({"input": _AUDIO_INPUT}), "include": nullable(_INCLUDE)}
)
"""A `session` of type "transcription", whole or in part."""


def _assistant_audio(value: Any, path: str) -> None:
    # The model's voice can't be put into its mouth: the API asks for the text in its place.
    raise missing_parameter(f"{path}.text")


def _user_audio(value: Any, path: str) -> None:
    fields = {"type": anything, "audio": string(), "transcript": nullable(string())}
    record(fields, required=["audio"])(value, path)


def _text_part(*, nulls: bool = False) -> Check:
    return record({"type": anything, "text": nullable(string()) if nulls else string()}, required=["text"])


_STATUS: Final = enum("completed", "incomplete", "in_progress")
_COMMON: Final[dict[str, Check]] = {
    "type": anything,
    "id": nullable(_ID),
    "object": enum("realtime.item"),
    "status": nullable(_STATUS),
}
_MESSAGE: Final = tagged(
    "role",
    {
        "system": record(
            {**_COMMON, "role": anything, "content": array(tagged("type", {"input_text": _text_part()}))},
            required=["content"],
        ),
        "user": record(
            {
                **_COMMON,
                "role": anything,
                "content": array(
                    tagged(
                        "type",
                        {
                            "input_text": _text_part(),
                            "input_audio": _user_audio,
                            "input_image": record(
                                {
                                    "type": anything,
                                    "image_url": string(shortest=1),
                                    "detail": nullable(enum("auto", "low", "high")),
                                },
                                required=["image_url"],
                            ),
                        },
                    )
                ),
            },
            required=["content"],
        ),
        "assistant": record(
            {
                **_COMMON,
                "role": anything,
                "content": array(tagged("type", {"output_text": _text_part(), "output_audio": _assistant_audio})),
            },
            required=["content"],
        ),
    },
)
_ITEM_TYPES: Final[dict[str, Check]] = {
    "message": _MESSAGE,
    "function_call": record(
        {**_COMMON, "name": string(), "arguments": string(), "call_id": nullable(string())},
        required=["name", "arguments"],
    ),
    "function_call_output": record(
        {**_COMMON, "call_id": string(), "output": string()}, required=["call_id", "output"]
    ),
    "mcp_approval_response": record(
        {**_COMMON, "approval_request_id": string(), "approve": boolean, "reason": nullable(string())},
        required=["approval_request_id", "approve"],
    ),
    "mcp_list_tools": record(
        {**_COMMON, "server_label": string(), "tools": array(json_object)}, required=["server_label", "tools"]
    ),
    "mcp_call": record(
        {
            **_COMMON,
            "server_label": string(),
            "name": string(),
            "arguments": string(),
            "approval_request_id": nullable(string()),
            "output": nullable(string()),
            "error": nullable(json_object),
        },
        required=["server_label", "name", "arguments"],
    ),
    "mcp_approval_request": record(
        {**_COMMON, "server_label": string(), "name": string(), "arguments": string()},
        required=["server_label", "name", "arguments"],
    ),
}

ITEM: Final[Check] = tagged("type", _ITEM_TYPES)
"""The `item` of `conversation.item.create`."""

CREATE_RESPONSE: Final[Check] = record(
    {
        "output_modalities": _output_modalities,
        "instructions": nullable(string()),
        "audio": record({"output": record({"format": _FORMAT, "voice": _VOICE})}),
        "tools": _TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "max_output_tokens": _max_output_tokens,
        "metadata": nullable(_metadata),
        "conversation": enum("auto", "none"),
        "input": nullable(
            array(
                tagged(
                    "type",
                    {
                        **_ITEM_TYPES,
                        "item_reference": record({"type": anything, "id": string(shortest=1)}, required=["id"]),
                    },
                )
            )
        ),
        "prompt": nullable(_PROMPT),
        "reasoning": nullable(_REASONING),
        "parallel_tool_calls": nullable(boolean),
    }
)
"""The `response` of `response.create`."""


def _event(fields: Mapping[str, Check], *required: str) -> Check:
    return record({"type": anything, "event_id": nullable(string(longest=512)), **fields}, required=required)


CLIENT_EVENTS: Final[Mapping[str, Check]] = {
    "session.update": _event({"session": anything}, "session"),
    "input_audio_buffer.append": _event({"audio": string()}, "audio"),
    "input_audio_buffer.commit": _event({}),
    "input_audio_buffer.clear": _event({}),
    "output_audio_buffer.clear": _event({}),
    "conversation.item.create": _event({"item": ITEM, "previous_item_id": nullable(string())}, "item"),
    "conversation.item.truncate": _event(
        {"item_id": string(), "content_index": integer(0), "audio_end_ms": integer(0)},
        "item_id",
        "content_index",
        "audio_end_ms",
    ),
    "conversation.item.delete": _event({"item_id": string()}, "item_id"),
    "conversation.item.retrieve": _event({"item_id": string()}, "item_id"),
    "response.create": _event({"response": nullable(json_object)}),
    "response.cancel": _event({"response_id": nullable(string())}),
}
"""Client events by type: their own keys. A `session` and a `response` are checked against the session's state."""
