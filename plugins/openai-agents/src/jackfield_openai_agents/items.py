"""jackfield's items as the SDK's: one of its pydantic models for each message and each tool call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import agents.realtime.items as sdk

from jackfield.transport import RealtimeItem
from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    ContentPart,
    InputAudio,
    InputImage,
    InputText,
    RealtimeToolCallItem,
    SystemMessageItem,
    UserMessageItem,
)

__all__ = ["sdk_item"]

_STATUSES: Final[dict[str, Literal["in_progress", "completed", "incomplete"]]] = {
    "in_progress": "in_progress",
    "completed": "completed",
    "incomplete": "incomplete",
    "interrupted": "incomplete",
}


def sdk_item(item: RealtimeItem, after: str | None = None) -> sdk.RealtimeItem | None:
    """Return the SDK's item, or None for what it has no word for (MCP). `after` is the item before it.

    The SDK has no way to say "first": an item that is new to its history and isn't after another one comes last.
    """
    previous = after or None
    match item:
        case RealtimeToolCallItem():
            return sdk.RealtimeToolCallItem(
                item_id=item.item_id,
                previous_item_id=previous,
                call_id=item.call_id,
                # A call and its output are one item: it is complete when the output is known.
                status="in_progress" if item.output is None else "completed",
                arguments=item.arguments,
                name=item.name,
                output=item.output,
            )
        case AssistantMessageItem():
            return sdk.AssistantMessageItem(
                item_id=item.item_id,
                previous_item_id=previous,
                status=None if item.status is None else _STATUSES[item.status],
                content=[part for part in map(_assistant_part, item.content) if part is not None],
            )
        case UserMessageItem():
            return sdk.UserMessageItem.model_validate(_message(item, previous, _user_parts(item.content)))
        case SystemMessageItem():
            texts = [sdk.InputText(text=part.text) for part in item.content if isinstance(part, InputText)]
            return sdk.SystemMessageItem.model_validate(_message(item, previous, texts))
    return None


def _message(item: UserMessageItem | SystemMessageItem, previous: str | None, content: Sequence[Any]) -> dict[str, Any]:
    # The SDK's own model gives these a status too, as an attribute beside the declared ones.
    status = None if item.status is None else _STATUSES[item.status]
    return {"item_id": item.item_id, "previous_item_id": previous, "content": content, "status": status}


def _assistant_part(part: ContentPart) -> sdk.AssistantText | sdk.AssistantAudio | None:
    match part:
        case AssistantText():
            return sdk.AssistantText(text=part.text)
        case AssistantAudio():
            return sdk.AssistantAudio(transcript=part.transcript, audio=part.audio)
    return None


def _user_parts(content: Sequence[ContentPart]) -> list[sdk.InputText | sdk.InputAudio | sdk.InputImage]:
    parts: list[sdk.InputText | sdk.InputAudio | sdk.InputImage] = []
    for part in content:
        match part:
            case InputText():
                parts.append(sdk.InputText(text=part.text))
            case InputAudio():
                parts.append(sdk.InputAudio(transcript=part.transcript, audio=part.audio))
            case InputImage():
                parts.append(sdk.InputImage(image_url=part.image_url, detail=part.detail))
    return parts
