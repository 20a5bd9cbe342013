"""JSON and base64, as fast as they go. One decode per frame; audio is framed without building an object."""

from __future__ import annotations

from typing import Any

import pybase64

from jackfield.errors import ProtocolError
from jackfield.wire.json import decode_json
from jackfield.wire.json import encode_json as encode

__all__ = ["audio_frame", "decode", "decode_audio", "encode"]

_APPEND_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
_APPEND_TAIL = b'"}'


def decode(frame: str | bytes) -> dict[str, Any]:
    """Return the event in `frame`; raise `ProtocolError` where it holds none: no JSON object with a string `type`."""
    message = decode_json(frame)
    if not isinstance(message.get("type"), str):
        raise ProtocolError("the far end sent JSON that is no event: an object with a string `type`; it was ignored")
    return message


def audio_frame(chunk: bytes) -> bytes:
    """Return the frame of `input_audio_buffer.append` for `chunk`; base64 needs no escaping."""
    return b"".join((_APPEND_HEAD, pybase64.b64encode(chunk), _APPEND_TAIL))


def decode_audio(delta: str) -> bytes:
    """Return the bytes of a base64 delta; raise ValueError where it is none. Validating is the faster path."""
    return pybase64.b64decode(delta, validate=True)
