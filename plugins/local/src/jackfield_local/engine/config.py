"""The configuration of one session: its defaults, and the rules by which a client may change it.

A configuration is the wire's own JSON: `session.created` and `session.updated` carry it as it is here. An update is
all or nothing, and touches only the keys that it gives.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from jackfield_local.engine.errors import ApiError, invalid_type, invalid_value, missing_parameter, unknown_parameter
from jackfield_local.engine.mcp_tools import complete_tools, public_tools
from jackfield_local.engine.shapes import CREATE_RESPONSE, REALTIME_SESSION, TRANSCRIPTION_SESSION

__all__ = ["DEFAULT_INSTRUCTIONS", "DEFAULT_MODEL", "new_session", "override_for_response", "update_session"]

DEFAULT_MODEL: Final = "gpt-realtime"
DEFAULT_INSTRUCTIONS: Final = (
    "You are a helpful voice assistant. Answer briefly and in a friendly tone, in the language of the user, "
    "and use a function where one fits."
)

_SERVER_VAD: Final[dict[str, Any]] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Final[dict[str, Any]] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_TRANSCRIPTION_VAD_KEYS: Final = ("idle_timeout_ms", "create_response", "interrupt_response")
_SESSION_CHECKS: Final = {"realtime": REALTIME_SESSION, "transcription": TRANSCRIPTION_SESSION}
_REASONING_KEYS: Final = ("reasoning", "parallel_tool_calls")


def new_session(kind: str, *, session_id: str, model: str, expires_at: int) -> dict[str, Any]:
    """Return the defaults of a session of type `kind` ("realtime" or "transcription"), every key present.

    `expires_at` is in seconds since 1970.
    """
    audio_input: dict[str, Any] = {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": dict(_SERVER_VAD),
    }
    if kind == "transcription":
        for key in _TRANSCRIPTION_VAD_KEYS:
            del audio_input["turn_detection"][key]
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": expires_at,
            "audio": {"input": audio_input},
            "include": None,
        }
    reasons = _reasons(model)
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "parallel_tool_calls": True if reasons else None,
        "reasoning": {"effort": "low"} if reasons else None,
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {
            "input": audio_input,
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
        },
        "include": None,
    }


def update_session(
    current: Mapping[str, Any],
    change: Any,
    *,
    has_spoken: bool = False,
    known: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return `current` with the `session` of a `session.update` applied, and without the credentials of `mcp` tools.

    `has_spoken`: assistant audio is present, which fixes the voice. `known` are the `mcp` tools that may be named by
    their label alone. Raises `ApiError` for the first thing that the API refuses; nothing is applied then.
    """
    kind = _kind(change)
    if kind != current["type"]:
        raise ApiError(
            f"Passing a session of type '{kind}' is not allowed in a session of type '{current['type']}'.",
            code="invalid_value",
            param="session.type",
        )
    change = _with_vad_type(current, change)
    _SESSION_CHECKS[kind](change, "session")
    _check_rules(current, change, has_spoken)
    merged = copy.deepcopy(dict(current))
    for key, value in change.items():
        if key == "audio":
            _merge_audio(kind, merged["audio"], value)
        elif key == "tools":
            merged[key] = copy.deepcopy(public_tools(complete_tools(value, known, "session.tools")))
        elif key != "model":
            # The model is what the connection asked for. Clients name it again in each update, and not always the same
            # one (an Azure deployment has a name of its own): the value is left as it was, and the update goes through.
            merged[key] = copy.deepcopy(value)
    return merged


def override_for_response(
    session: Mapping[str, Any], change: Any, *, known: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the settings of one response: the session's, with the `response` of a `response.create` laid over them.

    `known` are the `mcp` tools that may be named by their label alone. Raises `ApiError` for what the API refuses.
    """
    CREATE_RESPONSE(change, "response")
    _refuse_reasoning(session, change, "response")
    output = {**session["audio"]["output"], **_output_of(change)}
    settings: dict[str, Any] = {
        key: change.get(key, session[key]) for key in ("output_modalities", "tools", "tool_choice", "max_output_tokens")
    }
    settings["tools"] = public_tools(complete_tools(settings["tools"], known, "response.tools"))
    instructions = change.get("instructions")
    settings["instructions"] = session["instructions"] if instructions is None else instructions
    settings["metadata"] = change.get("metadata")
    settings["output"] = {**output, "format": _format(output["format"])}
    return settings


def _kind(change: Any) -> str:
    if not isinstance(change, dict):
        raise invalid_type("session", "an object", change)
    if "type" not in change:
        raise missing_parameter("session.type")
    kind = change["type"]
    if not isinstance(kind, str):
        raise invalid_type("session.type", "a string", kind)
    if kind not in _SESSION_CHECKS:
        raise invalid_value(kind, "session.type", _SESSION_CHECKS)
    return kind


def _check_rules(current: Mapping[str, Any], change: Mapping[str, Any], has_spoken: bool) -> None:
    _refuse_reasoning(current, change, "session")
    voice = _output_of(change).get("voice")
    if has_spoken and voice is not None and voice != current["audio"]["output"]["voice"]:
        message = "Cannot update a conversation's voice if assistant audio is present."
        raise ApiError(message, code="cannot_update_voice")
    if current.get("tracing") is not None and change.get("tracing", current["tracing"]) != current["tracing"]:
        message = "Cannot update a session's tracing once it is enabled."
        raise ApiError(message, code="invalid_value", param="session.tracing")


def _refuse_reasoning(session: Mapping[str, Any], change: Mapping[str, Any], path: str) -> None:
    for key in _REASONING_KEYS:
        if change.get(key) is not None and not _reasons(session.get("model", "")):
            raise unknown_parameter(f"{path}.{key}")


def _with_vad_type(current: Mapping[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return `change`, with the current type put into a turn detection that is given without one."""
    audio = change.get("audio")
    audio_input = audio.get("input") if isinstance(audio, dict) else None
    given = audio_input.get("turn_detection") if isinstance(audio_input, dict) else None
    present = current["audio"]["input"]["turn_detection"]
    if not isinstance(given, dict) or "type" in given or present is None:
        return change
    typed = {**given, "type": present["type"]}
    return {**change, "audio": {**change["audio"], "input": {**change["audio"]["input"], "turn_detection": typed}}}


def _turn_detection(kind: str, present: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    if present is not None and present["type"] == given["type"]:
        return {**present, **given}
    defaults = dict(_SERVER_VAD if given["type"] == "server_vad" else _SEMANTIC_VAD)
    if kind == "transcription":
        defaults = {key: value for key, value in defaults.items() if key not in _TRANSCRIPTION_VAD_KEYS}
    return {**defaults, **given}


def _merge_audio(kind: str, audio: dict[str, Any], change: Mapping[str, Any]) -> None:
    for side, settings in change.items():
        for key, value in settings.items():
            if key == "format":
                audio[side][key] = _format(value)
            elif key == "transcription" and value is not None:
                base = audio[side][key] or {"model": None, "language": None, "prompt": None}
                audio[side][key] = {**base, **value}
            elif key == "turn_detection" and value is not None:
                audio[side][key] = _turn_detection(kind, audio[side][key], value)
            elif key == "noise_reduction" and value is not None:
                strength = (audio[side][key] or {}).get("strength", 1)
                audio[side][key] = {"strength": strength, **value}
            else:
                audio[side][key] = copy.deepcopy(value)


def _format(value: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "audio/pcm", "rate": 24000} if value["type"] == "audio/pcm" else {"type": value["type"]}


def _output_of(change: Mapping[str, Any]) -> dict[str, Any]:
    output: dict[str, Any] = change.get("audio", {}).get("output", {})
    return output


def _reasons(model: str) -> bool:
    return model.startswith("gpt-realtime-2") and not model.startswith("gpt-realtime-2025")
