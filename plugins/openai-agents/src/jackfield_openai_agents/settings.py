"""The SDK's model settings as jackfield's session config: what a session begins with, and what a handoff changes.

Where a setting belongs, and which spelling wins, is the business of `jackfield.transport.normalize_session_config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agents.exceptions import UserError
from agents.realtime import DEFAULT_MODEL_SETTINGS, RealtimeSessionModelSettings
from agents.realtime.openai_realtime import DEFAULT_REALTIME_MODEL
from pydantic import BaseModel

from jackfield.transport import normalize_session_config

from .tools import function_tools

__all__ = ["SDK_DEFAULTS", "SessionSettings", "check_call", "model_of"]

SDK_DEFAULTS: Final[Mapping[str, Any]] = {**DEFAULT_MODEL_SETTINGS, "tracing": "auto"}
"""What the SDK's own model falls back on."""

_OPENAI_BY_DEFAULT: Final = frozenset({"websocket", "webrtc"})
"""Transports that lead to OpenAI where nothing else is said: there the SDK's default model is meant."""

_NOT_OF_THE_SESSION: Final = frozenset({"model_name", "tools", "handoffs", "tracing"})
_NONE_MEANS_OFF: Final = frozenset(
    {
        *("turn_detection", "transcription", "noise_reduction"),
        *("input_audio_transcription", "input_audio_noise_reduction"),
    }
)
_SIDES: Final = ("input", "output")


def model_of(
    settings: RealtimeSessionModelSettings, defaults: Mapping[str, Any], *, transport: str, elsewhere: bool
) -> str | None:
    """Return the model to ask for; None where that is left to the transport.

    `elsewhere` says that the address names a model or a call of its own.
    """
    named = settings.get("model_name") or defaults.get("model_name")
    if named:
        return str(named)
    return DEFAULT_REALTIME_MODEL if transport in _OPENAI_BY_DEFAULT and not elsewhere else None


class SessionSettings:
    """The settings of one connection.

    Who joins a call (`joins_call`) meets a session that was configured when it was answered: no defaults are added,
    and no empty instructions sent.
    """

    def __init__(self, defaults: Mapping[str, Any], *, joins_call: bool) -> None:
        self._joins_call = joins_call
        self._defaults = {} if joins_call else defaults
        self._settled: dict[tuple[str, str], Any] = {}
        """Settings of the audio that were acknowledged when the session began, and never changed since."""

    def initial(self, settings: RealtimeSessionModelSettings) -> dict[str, Any]:
        """Return what the session begins with."""
        config = self._config(settings)
        if self._joins_call and not config.get("instructions"):
            config.pop("instructions", None)
        tracing = settings["tracing"] if "tracing" in settings else self._defaults.get("tracing")
        if tracing is not None:
            config["tracing"] = _without_none(tracing) if isinstance(tracing, Mapping) else tracing
        self._settled = dict(_audio_settings(config))
        return config

    def update(self, settings: RealtimeSessionModelSettings) -> dict[str, Any]:
        """Return what to change for `settings`, which are complete.

        Audio settings that are as they were from the beginning are left out: a voice that was heard is settled, and so
        may other things be. Tracing can't be changed at all.
        """
        config = self._config(settings)
        for (side, name), value in list(_audio_settings(config)):
            if (side, name) in self._settled and self._settled[side, name] == value:
                del config["audio"][side][name]
            else:
                self._settled.pop((side, name), None)
        config["audio"] = {side: values for side, values in config.get("audio", {}).items() if values}
        if not config["audio"]:
            del config["audio"]
        return config

    def _config(self, settings: RealtimeSessionModelSettings) -> dict[str, Any]:
        config = _normalized(settings)
        defaults = _normalized(self._defaults)
        audio = {**defaults.get("audio", {}), **config.get("audio", {})}
        for side in _SIDES:
            # One by one, and whole: half a turn detection of the defaults is not what anybody asked for.
            values = {**defaults.get("audio", {}).get(side, {}), **config.get("audio", {}).get(side, {})}
            if values:
                audio[side] = values
        config = {**defaults, **config}
        if audio:
            config["audio"] = audio
        config["tools"] = function_tools(settings.get("tools") or [], settings.get("handoffs") or [])
        return config


def _normalized(settings: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: _plain(value) for key, value in settings.items() if key not in _NOT_OF_THE_SESSION}
    config = normalize_session_config(_without_none(given))
    config.pop("model", None)
    for side in _SIDES:
        values = config.get("audio", {}).get(side)
        if values is not None:
            config["audio"][side] = _without_none(values)
    return config


def _audio_settings(config: Mapping[str, Any]) -> list[tuple[tuple[str, str], Any]]:
    audio = config.get("audio", {})
    return [((side, name), value) for side in _SIDES for name, value in audio.get(side, {}).items()]


def _without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """None says nothing, but where it switches something off."""
    return {key: value for key, value in settings.items() if value is not None or key in _NONE_MEANS_OFF}


def _plain(value: Any) -> Any:
    """Formats may be objects of the `openai` package."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value


def check_call(settings: RealtimeSessionModelSettings, call_id: str | None) -> None:
    """Raise `UserError` where a call is to be joined and a model is named for it."""
    if call_id and settings.get("model_name"):
        raise UserError("a call has its model already: give call_id or model_name, and not both")
