"""The user's messages: from the contract's parts to the provider's, and to the item that they become."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pybase64
from attrs import frozen

from jackfield.transport import ConfigurationError, UserMessage
from jackfield.transport.items import InputImage, InputText

__all__ = ["UserContent", "image_part", "user_content"]

_DATA_URI = re.compile(r"data:(image/[\w.+-]+);base64,", re.ASCII)


@frozen
class UserContent:
    """One message of the user: what is sent, and what is kept in the history."""

    parts: tuple[dict[str, Any], ...]
    item_parts: tuple[InputText | InputImage, ...]

    def turn(self) -> dict[str, Any]:
        """Return it as a turn of `clientContent`."""
        return {"role": "user", "parts": list(self.parts)}


def user_content(message: UserMessage) -> UserContent:
    """Return the content of a message; raise `ConfigurationError` for what can't be one."""
    if isinstance(message, str):
        return UserContent(({"text": message},), (InputText(message),))
    if not isinstance(message, Mapping):
        raise ConfigurationError(f"a message is a str or a mapping, not {type(message).__name__}")
    role = message.get("role", "user")
    if role != "user":
        raise ConfigurationError(
            f"a message's role is 'user' at Gemini, not {role!r}: what the system says goes into the instructions"
        )
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    if not isinstance(content, list | tuple) or not content:
        raise ConfigurationError("a message needs content: a non-empty list of input_text and input_image parts")
    pairs = [_part(part) for part in content]
    return UserContent(tuple(sent for sent, _ in pairs), tuple(kept for _, kept in pairs))


def image_part(image: str, detail: str | None) -> tuple[dict[str, Any], InputImage]:
    """Return an image as it is sent and as it is kept; raise `ConfigurationError` for what isn't a data URI."""
    if detail not in (None, "auto"):
        raise ConfigurationError(
            f"Gemini has no detail {detail!r} of one image: "
            'give {"gemini": {"generationConfig": {"mediaResolution": ...}}} for the session'
        )
    match = _DATA_URI.match(image)
    if match is None:
        raise ConfigurationError(
            "Gemini takes images with their bytes, and fetches none: give a data URI, data:image/png;base64,..., and "
            f"not {image[:40]!r}"
        )
    data = image[match.end() :]
    try:
        pybase64.b64decode(data, validate=True)
    except ValueError as error:
        raise ConfigurationError(f"the image's data is no base64: {error}") from None
    return {"inlineData": {"mimeType": match[1], "data": data}}, InputImage(image, detail)


def _part(part: Any) -> tuple[dict[str, Any], InputText | InputImage]:
    if not isinstance(part, Mapping):
        raise ConfigurationError(f"a content part is a mapping with a type, not {type(part).__name__}")
    kind = part.get("type")
    if kind == "input_text" and isinstance(part.get("text"), str):
        return {"text": part["text"]}, InputText(part["text"])
    image = part.get("image_url") or part.get("image")
    if kind == "input_image" and isinstance(image, str):
        return image_part(image, part.get("detail"))
    raise ConfigurationError(
        f"a content part of type {kind!r} can't be sent: give input_text with text or input_image with image_url; "
        "audio goes through send_audio"
    )
