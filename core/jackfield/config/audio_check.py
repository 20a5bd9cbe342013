"""What the configuration says about audio: the keys of each level, and what their values may be.

Where a table names the keys, `audio_types` says what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jackfield.audio.formats import AudioFormat, UnknownAudioFormatError
from jackfield.errors import ConfigurationError

from . import audio_types as types
from .level import Level
from .values import Check, boolean, integer, literals, misspelt, nullable, number, open_one_of, refuse, text, texts

__all__ = [
    "AUDIO_INPUT_KEYS",
    "AUDIO_OUTPUT_KEYS",
    "NOISE_REDUCTION",
    "PASSED_ON",
    "TRANSCRIPTION",
    "TURN_DETECTION",
    "audio_format",
    "speed",
    "voice",
]

PASSED_ON = "provider_data takes any key that jackfield doesn't know"
"""What users of a provider's own keys are told."""

_AZURE_DETECTION = ("azure_semantic_vad", "azure_semantic_vad_multilingual")
_ONLY_BY_SILENCE = ("threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms")
_ONLY_BY_MEANING = ("eagerness",)

speed = number(0.25, 1.5)


def audio_format(path: str, value: Any) -> None:
    """An audio format in any form that `AudioFormat.parse` takes, a mapping of a type that it doesn't know, or None."""
    if value is None:
        return
    try:
        AudioFormat.parse(value)
    except UnknownAudioFormatError as error:
        kind: Any = value.get("type") if isinstance(value, Mapping) else value
        unknown = isinstance(kind, str) and kind != "" and not _is_format(kind)
        near = _nearest_format(kind) if unknown else None
        if unknown and near is None and isinstance(value, Mapping):
            return  # a format that this version doesn't know is the far end's to judge
        raise UnknownAudioFormatError(f"{path}: {f'did you mean {near!r}? ' if near else ''}{error}") from None


def _is_format(kind: str) -> bool:
    try:
        AudioFormat.parse(kind)
    except UnknownAudioFormatError:
        return False
    return True


def _nearest_format(kind: str) -> str | None:
    # "audio/" alone makes two names half alike.
    bare = {name.removeprefix("audio/"): name for name in literals(types.AudioFormatName)}
    near = misspelt(kind.casefold().removeprefix("audio/"), tuple(bare))
    return bare[near] if near else None


def voice(path: str, value: Any) -> None:
    """A voice's name, {"id": ...}, or a vendor's object, which has a name."""
    wanted = "a voice's name, or a mapping such as {'id': 'voice_123'}"
    if isinstance(value, Mapping):
        if not any(isinstance(value.get(key), str) and value[key] for key in ("id", "name")):
            raise ConfigurationError(f"{path} has no id: it is {wanted}")
    elif not isinstance(value, str):
        refuse(path, wanted, value)
    elif not value:
        raise ConfigurationError(f"{path} is empty: it is {wanted}")


def _one_detectors_keys(path: str, given: Mapping[str, Any]) -> None:
    """Each detector takes its own keys: the API refuses the other's."""
    kind = given.get("type")
    foreign = {"semantic_vad": _ONLY_BY_SILENCE, "server_vad": _ONLY_BY_MEANING}.get(kind or "", ())
    other = "server_vad" if kind == "semantic_vad" else "semantic_vad"
    for key in foreign:
        if key in given:
            raise ConfigurationError(
                f"{path}.{key} is a setting of {other}, and the type is {kind}: leave it out, or give the type {other}"
            )


TURN_DETECTION = Level(
    keys={
        "type": open_one_of(*literals(types.TurnDetectionType), *_AZURE_DETECTION),
        "create_response": boolean,
        "interrupt_response": boolean,
        "eagerness": open_one_of(*literals(types.Eagerness)),
        "threshold": number(0, 1),
        "prefix_padding_ms": integer(0, unit="milliseconds"),
        "silence_duration_ms": integer(0, unit="milliseconds"),
        "idle_timeout_ms": nullable(integer(5000, 30000, unit="milliseconds", other="None to switch it off")),
        "model_version": text(),
        # Azure's: named because it looks like silence_duration_ms.
        "speech_duration_ms": integer(0, unit="milliseconds"),
    },
    wanted="a mapping such as {'type': 'server_vad'}, or None to switch it off",
    vendor_keys=True,
    unknown=PASSED_ON,
    rule=_one_detectors_keys,
)

TRANSCRIPTION = Level(
    keys={
        "model": text(),
        "language": nullable(text(hint="a list of them goes into 'languages'")),
        "languages": texts(example="['en', 'fr']"),
        "keywords": texts(example="['jackfield']"),
        "prompt": nullable(text(empty=True)),
        "delay": open_one_of(*literals(types.TranscriptionDelay)),
    },
    wanted="a mapping such as {'model': 'gpt-4o-mini-transcribe'}, or None to switch it off",
    vendor_keys=True,
    unknown=PASSED_ON,
)

NOISE_REDUCTION = Level(
    keys={
        "type": open_one_of(*literals(types.NoiseReductionType)),
        "strength": number(0),
    },
    wanted="a mapping such as {'type': 'near_field'}, or None to switch it off",
    vendor_keys=True,
    unknown=PASSED_ON,
)

AUDIO_INPUT_KEYS: dict[str, Check] = {
    "format": audio_format,
    "noise_reduction": nullable(NOISE_REDUCTION),
    "transcription": nullable(TRANSCRIPTION),
    "turn_detection": nullable(TURN_DETECTION),
}
AUDIO_OUTPUT_KEYS: dict[str, Check] = {
    "format": audio_format,
    "voice": voice,
    "speed": speed,
}
