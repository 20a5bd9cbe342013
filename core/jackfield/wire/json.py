"""JSON objects in frames, as fast as it goes: one decode per frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from jackfield.errors import ConfigurationError, ProtocolError

__all__ = ["decode_json", "encode_json"]


def decode_json(frame: str | bytes) -> dict[str, Any]:
    """Return the JSON object in `frame`; raise `ProtocolError` where it holds none."""
    try:
        message = orjson.loads(frame)
    except ValueError as error:
        raise ProtocolError(f"the far end sent a frame that is no JSON ({error}); it was ignored") from None
    if not isinstance(message, dict):
        raise ProtocolError("the far end sent JSON that is no object; it was ignored")
    return message


def encode_json(message: Mapping[str, Any]) -> bytes:
    """Return `message` as UTF-8 JSON; raise `ConfigurationError` where it can't be that."""
    try:
        return orjson.dumps(message)
    except (TypeError, ValueError) as error:
        what = f"the event {message['type']!r}" if "type" in message else "it"
        raise ConfigurationError(f"{what} can't be sent as JSON: {error}") from error
