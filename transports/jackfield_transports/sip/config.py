"""What a call is accepted with: the session's own first config, as the accept takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jackfield import RealtimeAgent
from jackfield.openai import session_payload
from jackfield.session import initial_session_config
from jackfield.transport import ConfigurationError, merge_session_config, normalize_session_config
from jackfield_transports.endpoint import DEFAULT_MODEL

__all__ = ["accept_payload", "build_initial_config", "check_turn_detection"]

_REFUSED: Final = ("threshold", "prefix_padding_ms", "silence_duration_ms")
"""Fields of turn detection that the accept of a SIP call won't have."""


async def build_initial_config(
    agent: RealtimeAgent[Any],
    *,
    model: str | None = None,
    config: Mapping[str, Any] | None = None,
    initial_model_settings: Mapping[str, Any] | None = None,
    context: Any = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the payload with which `CallsClient.accept` answers a call for `agent`.

    It is what `RealtimeSession`, given the same, would begin with, and `overrides` over it; without audio formats, for
    the phone network settles those. Raises `ConfigurationError` for what the session would refuse, and for fields of
    turn detection that the accept of a call refuses, naming them all.
    """
    for layer in ((config or {}).get("model_settings"), initial_model_settings, overrides):
        if isinstance(layer, Mapping):  # else the session says what is wrong with it
            check_turn_detection(layer)
    told = await initial_session_config(
        agent, model=model, config=config, initial_model_settings=initial_model_settings, context=context
    )
    return accept_payload(merge_session_config(told, overrides or {}))


def accept_payload(config: Mapping[str, Any], model: str | None = None) -> dict[str, Any]:
    """Return a session's first config as the accept takes it; see `build_initial_config`."""
    check_turn_detection(config)
    named = model or config.get("model") or DEFAULT_MODEL
    return session_payload({**config, "model": named}, with_model=True, formats=False)


def check_turn_detection(config: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError`, naming them all, for fields of turn detection that a call's accept refuses."""
    audio = normalize_session_config(config).get("audio") or {}
    given = (audio.get("input") or {}).get("turn_detection") or {}
    wrong = [f"turn_detection.{name}" for name in _REFUSED if given.get(name) is not None]
    if wrong:
        raise ConfigurationError(
            f"a SIP call can't be accepted with {', '.join(wrong)}: leave that out, and tune it once the call is "
            "joined, with transport.update_session_config"
        )
