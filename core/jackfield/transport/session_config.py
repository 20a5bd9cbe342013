"""The session's configuration in one shape: nested, snake_case, as the GA Realtime API has it.

Users write flat legacy keys, nested ones, or camelCase; layers of it (defaults, session, agent) are merged key by
key. `UNSET` means "say nothing about this key", which is not None: None switches a thing off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Literal

from jackfield.errors import ConfigurationError

__all__ = ["UNSET", "Unset", "merge_session_config", "normalize_session_config"]


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final[Literal[Unset.UNSET]] = Unset.UNSET
"""Says nothing about a key, where None would switch it off."""

_LEGACY_PATHS: dict[str, tuple[str, ...]] = {
    "model_name": ("model",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "max_response_output_tokens": ("max_output_tokens",),
}
_VERBATIM = frozenset(
    {
        "tools",
        "metadata",
        "variables",
        "headers",
        "parameters",
        "allowed_tools",
        "require_approval",
        "provider_data",
    }
)
"""Keys whose values are the user's own: not a key inside them is renamed."""
_WHOLE = _VERBATIM | {"tool_choice"}
"""Keys whose values replace one another whole, and are not merged."""

_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def normalize_session_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config` in the nested shape; unknown keys are kept.

    A nested key wins over its flat alias, and `output_modalities` over `modalities`. `audio`, `audio.input` and
    `audio.output` of None say nothing. Raises `ConfigurationError` for what can't be a configuration at all, and for
    `temperature`, which the GA API no longer has.
    """
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"a session config is a mapping, not {type(config).__name__}")
    given = _snake_case(config)
    if given.get("temperature") is not None:
        raise ConfigurationError(
            "temperature is not a setting of the Realtime API any more: leave it out, and steer the model by its "
            "instructions"
        )
    given.pop("temperature", None)
    audio = given.pop("audio", None)
    nested: dict[str, Any] = {}
    if isinstance(audio, Mapping):
        nested["audio"] = {side: value for side, value in audio.items() if value is not None}
    elif audio is not None:
        raise ConfigurationError(f"audio is a mapping with input and output, not {audio!r}")
    flat: dict[str, Any] = {}
    modalities = given.pop("modalities", None)
    if modalities is not None:
        if not isinstance(modalities, list | tuple):
            raise ConfigurationError(f'modalities is a list such as ["audio"] or ["text"], not {modalities!r}')
        flat["output_modalities"] = ["audio"] if "audio" in modalities else list(modalities)
    for key, value in given.items():
        path = _LEGACY_PATHS.get(key)
        if path is None:
            nested[key] = value
        else:
            _put(flat, path, value)
    return merge_session_config(flat, nested)


def merge_session_config(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested `layers` merged key by key, the later ones winning. None overrides, `UNSET` does not."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if value is UNSET:
                continue
            known = merged.get(key)
            if isinstance(value, Mapping) and key not in _WHOLE:
                # A turn detection of another type, or a prompt of another id, shares nothing with what it replaces.
                base = known if isinstance(known, Mapping) and _same_thing(known, value) else {}
                merged[key] = merge_session_config(base, value)
            else:
                merged[key] = value
    return merged


def _same_thing(known: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return all(known[key] == value[key] for key in ("type", "id") if key in known and key in value)


def _put(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = value


def _snake_case(config: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in config.items():
        if not isinstance(key, str):
            raise ConfigurationError(f"the session config has the key {key!r}: keys are strings")
        if value is UNSET:
            continue
        snake = _CAMEL.sub(lambda match: "_" + match[1].lower(), key)
        if snake != key and config.get(snake, UNSET) is not UNSET:
            continue  # both spellings are given: the API's own wins
        result[snake] = _snake_case(value) if isinstance(value, Mapping) and snake not in _VERBATIM else value
    return result
