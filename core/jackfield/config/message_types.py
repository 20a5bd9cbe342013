"""What is sent to the model during a session, as users of realtime SDKs write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

__all__ = [
    "RealtimeClientMessage",
    "RealtimeUserInput",
    "RealtimeUserInputImage",
    "RealtimeUserInputMessage",
    "RealtimeUserInputText",
]


class RealtimeClientMessage(TypedDict):
    """One of the provider's own client events, as users of realtime SDKs write it."""

    type: str
    """The event's type. Required."""

    other_data: NotRequired[Mapping[str, Any]]
    """The event's other fields, merged into it."""


class RealtimeUserInputText(TypedDict):
    """Text in a user's message."""

    type: Literal["input_text"]
    """Always `input_text`. Required."""

    text: str
    """What the user wrote. Required."""


class RealtimeUserInputImage(TypedDict):
    """An image in a user's message."""

    type: Literal["input_image"]
    """Always `input_image`. Required."""

    image_url: str
    """A URL, or a data URI with the image itself. Required."""

    detail: NotRequired[Literal["auto", "low", "high"] | str]
    """How closely the model looks. Default: auto."""


class RealtimeUserInputMessage(TypedDict):
    """A user's message of several parts."""

    type: Literal["message"]
    """Always `message`. Required."""

    role: Literal["user"]
    """Always `user`. Required."""

    content: list[RealtimeUserInputText | RealtimeUserInputImage]
    """Its parts, in order. Required."""


RealtimeUserInput: TypeAlias = str | RealtimeUserInputMessage
"""What a user says in writing: text, or a message of several parts."""
