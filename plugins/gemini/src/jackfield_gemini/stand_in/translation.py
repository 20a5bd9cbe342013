"""What one protocol says, in the words of the other: pure functions of messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "function_calls",
    "function_outputs",
    "interrupts",
    "session_changes",
    "session_of",
    "turn_items",
    "usage_metadata",
]

_VOICES: Final = frozenset({"alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"})
"""Voices of the server behind; others are this protocol's own, and left to it."""


def session_of(setup: Mapping[str, Any]) -> dict[str, Any]:
    """Return the session that a `setup` amounts to."""
    generation = setup.get("generationConfig", {})
    text = generation.get("responseModalities") == ["TEXT"]
    heard: dict[str, Any] = {"turn_detection": _turn_detection(setup.get("realtimeInputConfig", {}))}
    if "inputAudioTranscription" in setup:
        language = setup["inputAudioTranscription"].get("languageCodes", [])[:1]
        heard["transcription"] = {"model": "gpt-4o-mini-transcribe", **({"language": language[0]} if language else {})}
    session: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["text"] if text else ["audio"],
        "audio": {"input": heard},
        **session_changes({"tools": {"tools": setup.get("tools", [])}, **_instructions(setup)}),
    }
    voice = generation.get("speechConfig", {}).get("voiceConfig", {}).get("prebuiltVoiceConfig", {}).get("voiceName")
    if voice in _VOICES:
        session["audio"]["output"] = {"voice": voice}
    if "maxOutputTokens" in generation:
        session["max_output_tokens"] = generation["maxOutputTokens"]
    return session


def interrupts(setup: Mapping[str, Any]) -> bool:
    """Return whether the user's speech interrupts the model."""
    return bool(setup.get("realtimeInputConfig", {}).get("activityHandling") != "NO_INTERRUPTION")


def session_changes(update: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a `contextUpdate` changes in the session."""
    changes: dict[str, Any] = {}
    if "systemInstruction" in update:
        parts = update["systemInstruction"].get("parts", [])
        changes["instructions"] = "".join(part.get("text", "") for part in parts)
    if "tools" in update:
        declared = [
            declaration
            for tool in update["tools"].get("tools", [])
            for declaration in tool.get("functionDeclarations", [])
        ]
        changes["tools"] = [_tool(declaration) for declaration in declared]
    return changes


def turn_items(turn: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item of one turn of `clientContent`."""
    user = turn.get("role", "user") == "user"
    content: list[dict[str, Any]] = []
    for part in turn.get("parts", []):
        if "text" in part:
            content.append({"type": "input_text" if user else "output_text", "text": part["text"]})
        elif "inlineData" in part and user:
            blob = part["inlineData"]
            content.append({"type": "input_image", "image_url": f"data:{blob['mimeType']};base64,{blob['data']}"})
    return {"type": "message", "role": "user" if user else "assistant", "content": content}


def function_outputs(answers: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the items of a `toolResponse`."""
    items: list[dict[str, Any]] = []
    for answer in answers:
        response = answer.get("response", {})
        output = response.get("output")
        text = output if isinstance(output, str) else json.dumps(response)
        items.append({"type": "function_call_output", "call_id": answer.get("id", ""), "output": text})
    return items


def function_calls(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the calls of a response as `functionCalls`."""
    return [
        {"id": item["call_id"], "name": item["name"], "args": _arguments(item.get("arguments", ""))}
        for item in response.get("output") or []
        if item.get("type") == "function_call"
    ]


def usage_metadata(response: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a response cost; None where it doesn't say."""
    usage = response.get("usage")
    if not usage:
        return None
    return {
        "promptTokenCount": usage.get("input_tokens", 0),
        "responseTokenCount": usage.get("output_tokens", 0),
        "totalTokenCount": usage.get("total_tokens", 0),
        "promptTokensDetails": _by_modality(usage.get("input_token_details")),
        "responseTokensDetails": _by_modality(usage.get("output_token_details")),
    }


def _by_modality(details: Any) -> list[dict[str, Any]]:
    if not isinstance(details, Mapping):
        return []
    counted = ((kind, details.get(f"{kind}_tokens")) for kind in ("text", "audio", "image"))
    return [{"modality": kind.upper(), "tokenCount": count} for kind, count in counted if isinstance(count, int)]


def _arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text or "{}")
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _instructions(setup: Mapping[str, Any]) -> dict[str, Any]:
    return {"systemInstruction": setup["systemInstruction"]} if "systemInstruction" in setup else {}


def _turn_detection(config: Mapping[str, Any]) -> dict[str, Any] | None:
    detection = config.get("automaticActivityDetection", {})
    if detection.get("disabled"):
        return None
    told: dict[str, Any] = {
        "type": "server_vad",
        "create_response": True,
        "interrupt_response": interrupts({"realtimeInputConfig": config}),
    }
    for theirs, ours in (("prefixPaddingMs", "prefix_padding_ms"), ("silenceDurationMs", "silence_duration_ms")):
        if theirs in detection:
            told[ours] = detection[theirs]
    return told


def _tool(declaration: Mapping[str, Any]) -> dict[str, Any]:
    parameters = declaration.get("parametersJsonSchema") or _schema(declaration.get("parameters", {}))
    return {
        "type": "function",
        "name": declaration["name"],
        "description": declaration.get("description", ""),
        "parameters": {"type": "object", "properties": {}, **parameters},
    }


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return this protocol's schema as a JSON Schema."""
    converted: dict[str, Any] = {key: value for key, value in schema.items() if key != "nullable"}
    if "type" in converted:
        converted["type"] = str(converted["type"]).lower()
        if schema.get("nullable"):
            converted["type"] = [converted["type"], "null"]
    if "properties" in schema:
        converted["properties"] = {name: _schema(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        converted["items"] = _schema(schema["items"])
    if "anyOf" in schema:
        converted["anyOf"] = [_schema(inner) for inner in schema["anyOf"]]
    return converted
