"""The `session` object that goes over the wire: one builder for connect, update, handoff and call accept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jackfield.audio.formats import AudioFormat, UnknownAudioFormatError
from jackfield.transport.session_config import normalize_session_config

__all__ = ["response_payload", "session_payload"]

_TOOL_CHOICES = frozenset({"none", "auto", "required"})


def session_payload(config: Mapping[str, Any], *, with_model: bool = False, formats: bool = True) -> dict[str, Any]:
    """Return the GA `session` object for `config` (flat legacy keys, nested keys, or both).

    The model is part of it only `with_model`, as a call's accept wants it: a running session can't change its model
    (API event `session.update`). Without `formats` no audio format is sent: SIP and WebRTC negotiate their own.
    Unknown keys pass through.
    """
    session = normalize_session_config(config)
    if not with_model:
        session.pop("model", None)
    audio = session.get("audio")
    if audio:
        for side in audio.values():
            if not isinstance(side, dict) or "format" not in side:
                continue
            if formats and side["format"] is not None:
                side["format"] = _format(side["format"])
            else:
                del side["format"]
    if "tool_choice" in session:
        session["tool_choice"] = _tool_choice(session["tool_choice"])
    return {"type": "realtime", **session}


def response_payload(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `response` object of `response.create` for overrides in any shape that `session_payload` takes."""
    payload = session_payload(response)
    del payload["type"]
    return payload


def _format(value: Any) -> Any:
    try:
        return AudioFormat.parse(value).to_wire()
    except UnknownAudioFormatError:
        if isinstance(value, Mapping):
            return dict(value)  # a format that this version doesn't know is the far end's to judge
        raise


def _tool_choice(choice: Any) -> Any:
    """A function's bare name becomes the object that the API wants."""
    if isinstance(choice, str) and choice not in _TOOL_CHOICES:
        return {"type": "function", "name": choice}
    return choice
