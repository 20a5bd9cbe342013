"""What the provider accepts of a client: field by field, as its proto-JSON has them.

An unknown field, a second member beside the first, or a message before the setup ends the connection with 1007. Names
in snake_case are understood too: proto-JSON takes both, and the published client sends both.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["InvalidMessageError", "normalized", "validate"]


class InvalidMessageError(Exception):
    """The message isn't one of the protocol; the text is the reason of the close."""


_ANY: Final = object()
"""A value that isn't looked into."""
_SNAKE = re.compile(r"_([a-z0-9])")

_PART: Final = {
    "text": str,
    "inlineData": {"mimeType": str, "data": bytes},
    "fileData": _ANY,
    "functionCall": _ANY,
    "functionResponse": _ANY,
    "thought": bool,
    "thoughtSignature": str,
    "videoMetadata": _ANY,
    "mediaResolution": _ANY,
}
_CONTENT: Final = {"role": str, "parts": [_PART]}
_SCHEMA_KEYS: Final = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "default",
        "items",
        "minItems",
        "maxItems",
        "enum",
        "properties",
        "propertyOrdering",
        "required",
        "minProperties",
        "maxProperties",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
    }
)
_TYPES: Final = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
_DECLARATION: Final = {
    "name": str,
    "description": str,
    "parameters": _ANY,
    "parametersJsonSchema": _ANY,
    "response": _ANY,
    "responseJsonSchema": _ANY,
    "behavior": str,
}
_TOOL: Final = {
    "functionDeclarations": [_DECLARATION],
    "googleSearch": _ANY,
    "googleSearchRetrieval": _ANY,
    "codeExecution": _ANY,
    "urlContext": _ANY,
    "googleMaps": _ANY,
    "computerUse": _ANY,
    "fileSearch": _ANY,
}
_BLOB: Final = {"mimeType": str, "data": bytes}
_TRANSCRIPTION: Final = {
    "languageCodes": [str],
    "languageAuto": _ANY,
    "languageHints": _ANY,
    "customVocabulary": [str],
    "adaptationPhrases": [str],
    "wordTimestamp": bool,
    "diarization": bool,
    "mode": str,
    "sourceText": str,
}
_GENERATION: Final = {
    "responseModalities": [str],
    "speechConfig": {"voiceConfig": _ANY, "languageCode": str, "multiSpeakerVoiceConfig": _ANY},
    "temperature": float,
    "topP": float,
    "topK": float,
    "maxOutputTokens": int,
    "seed": int,
    "presencePenalty": float,
    "frequencyPenalty": float,
    "stopSequences": [str],
    "candidateCount": int,
    "mediaResolution": str,
    "thinkingConfig": _ANY,
    "enableAffectiveDialog": bool,
    "translationConfig": _ANY,
}
_MESSAGE: Final[Mapping[str, Any]] = {
    "setup": {
        "model": str,
        "generationConfig": _GENERATION,
        "systemInstruction": _CONTENT,
        "tools": [_TOOL],
        "realtimeInputConfig": {
            "automaticActivityDetection": {
                "disabled": bool,
                "startOfSpeechSensitivity": str,
                "endOfSpeechSensitivity": str,
                "prefixPaddingMs": int,
                "silenceDurationMs": int,
            },
            "activityHandling": str,
            "turnCoverage": str,
            "interimTranscriptTimestampEnabled": bool,
        },
        "inputAudioTranscription": _TRANSCRIPTION,
        "outputAudioTranscription": _TRANSCRIPTION,
        "sessionResumption": {"handle": str, "transparent": bool},
        "contextWindowCompression": {"triggerTokens": int, "slidingWindow": {"targetTokens": int}},
        "proactivity": {"proactiveAudio": bool, "proactiveVideo": bool},
        "historyConfig": {"initialHistoryInClientContent": bool},
        "avatarConfig": _ANY,
        "safetySettings": [_ANY],
        "explicitVadSignal": bool,
        "labels": _ANY,
    },
    "clientContent": {"turns": [_CONTENT], "turnComplete": bool},
    "realtimeInput": {
        "mediaChunks": [_BLOB],
        "audio": _BLOB,
        "video": _BLOB,
        "text": str,
        "activityStart": {},
        "activityEnd": {},
        "audioStreamEnd": bool,
    },
    "toolResponse": {
        "functionResponses": [
            {
                "id": str,
                "name": str,
                "response": _ANY,
                "scheduling": str,
                "willContinue": bool,
                "parts": _ANY,
            }
        ]
    },
    "contextUpdate": {"systemInstruction": _CONTENT, "tools": {"tools": [_TOOL]}},
}
_VERBATIM: Final = frozenset({"response", "parameters", "parametersJsonSchema", "responseJsonSchema", "labels"})


def normalized(message: Any) -> Any:
    """Return a message with the names of its fields in camelCase."""
    if isinstance(message, Mapping):
        result: dict[str, Any] = {}
        for key, value in message.items():
            name = _SNAKE.sub(lambda match: match[1].upper(), str(key))
            result[name] = value if name in _VERBATIM else normalized(value)
        return result
    return [normalized(inner) for inner in message] if isinstance(message, list) else message


def validate(message: Mapping[str, Any]) -> str:
    """Return which member a normalized message has; raise `InvalidMessageError`."""
    if len(message) != 1:
        raise InvalidMessageError(f"Exactly one of the members of a client message must be set, not {len(message)}.")
    [kind] = message
    _check(message, _MESSAGE, "")
    for tool in _tools(message):
        for declaration in tool.get("functionDeclarations", []):
            if "parameters" in declaration:
                _check_schema(declaration["parameters"], f"{declaration.get('name')}.parameters")
    return str(kind)


def _tools(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    setup = message.get("setup", {})
    return [*setup.get("tools", []), *message.get("contextUpdate", {}).get("tools", {}).get("tools", [])]


def _check(value: Any, shape: Any, path: str) -> None:
    if shape is _ANY:
        return
    where = path or "the message"
    if isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            raise InvalidMessageError(f"Invalid value at '{where}': an object is wanted.")
        for key, inner in value.items():
            if key not in shape:
                raise InvalidMessageError(f"Unknown name \"{key}\" at '{where}': Cannot find field.")
            _check(inner, shape[key], f"{path}.{key}".lstrip("."))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise InvalidMessageError(f"Invalid value at '{where}': a list is wanted.")
        for number, inner in enumerate(value):
            _check(inner, shape[0], f"{path}[{number}]")
    elif shape is bytes:
        try:
            b64decode(value, validate=True)
        except (TypeError, ValueError, binascii.Error):
            try:
                b64decode(value, altchars=b"-_", validate=True)  # the published client's alphabet
            except (TypeError, ValueError, binascii.Error):
                raise InvalidMessageError(f"Invalid value at '{where}': base64 is wanted.") from None
    elif shape is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidMessageError(f"Invalid value at '{where}': a number is wanted.")
    elif not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        raise InvalidMessageError(f"Invalid value at '{where}': {shape.__name__} is wanted.")


def _check_schema(schema: Any, path: str) -> None:
    if not isinstance(schema, Mapping):
        raise InvalidMessageError(f"Invalid value at '{path}': a schema is wanted.")
    for key in schema:
        if key not in _SCHEMA_KEYS:
            raise InvalidMessageError(f"Unknown name \"{key}\" at '{path}': Cannot find field.")
    if str(schema.get("type", "OBJECT")).upper() not in _TYPES:
        raise InvalidMessageError(f"Invalid value at '{path}.type': {schema['type']!r}.")
    if not all(isinstance(value, str) for value in schema.get("enum", [])):
        raise InvalidMessageError(f"Invalid value at '{path}.enum': strings are wanted.")
    for name, inner in schema.get("properties", {}).items():
        _check_schema(inner, f"{path}.properties.{name}")
    if "items" in schema:
        _check_schema(schema["items"], f"{path}.items")
    for inner in schema.get("anyOf", []):
        _check_schema(inner, f"{path}.anyOf")
