"""The wire's items and the contract's: one into the other. Tolerant on the way in, strict on the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jackfield.errors import ConfigurationError
from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    ContentPart,
    InputAudio,
    InputImage,
    InputText,
    ItemStatus,
    McpApprovalRequestItem,
    McpCallItem,
    McpListToolsItem,
    RealtimeItem,
    RealtimeToolCallItem,
    SystemMessageItem,
    UserMessageItem,
)

__all__ = ["copied", "item_from_wire", "item_to_wire", "message_to_wire", "text_of"]

_STATUSES: Mapping[str, ItemStatus] = {
    "in_progress": "in_progress",
    "completed": "completed",
    "incomplete": "incomplete",
}
_MAX_DEPTH = 32


def text_of(message: Mapping[str, Any], key: str) -> str:
    """Return the string at `key`, or "" where there is none."""
    value = message.get(key)
    return value if isinstance(value, str) else ""


def copied(value: Any, clean: Callable[[str], str] | None = None, depth: int = _MAX_DEPTH) -> Any:
    """Return a deep copy of decoded JSON, with `clean` applied to its strings where it is given.

    What lies deeper than `depth` levels becomes None: nothing of the protocol does, and junk can't exhaust the stack.
    """
    if isinstance(value, Mapping):
        return {key: copied(inner, clean, depth - 1) for key, inner in value.items()} if depth else None
    if isinstance(value, list):
        return [copied(inner, clean, depth - 1) for inner in value] if depth else None
    return clean(value) if clean is not None and isinstance(value, str) else value


def item_from_wire(item: Any, status: ItemStatus, response_id: str | None = None) -> RealtimeItem | None:
    """Return the contract's item for a wire item, or None where its type is unknown or it has no id.

    `status` is what to assume where the item doesn't say. A function_call_output is no item of its own: None.
    """
    if not isinstance(item, Mapping):
        return None
    item_id = text_of(item, "id")
    if not item_id:
        return None
    status = _STATUSES.get(text_of(item, "status"), status)
    match item.get("type"):
        case "message":
            return _message(item, item_id, status, response_id)
        case "function_call":
            return RealtimeToolCallItem(
                item_id=item_id,
                call_id=text_of(item, "call_id") or item_id,
                name=text_of(item, "name"),
                arguments=text_of(item, "arguments"),
                status=status,
                response_id=response_id,
            )
        case "mcp_list_tools":
            tools = item.get("tools")
            return McpListToolsItem(
                item_id=item_id,
                server_label=text_of(item, "server_label"),
                tools=tuple(copied(tool) for tool in tools if isinstance(tool, Mapping))
                if isinstance(tools, list)
                else (),
            )
        case "mcp_call" | "mcp_tool_call":
            error, output = item.get("error"), _optional(item, "output")
            if isinstance(error, str) and error:
                error = {"message": error}
            over = output is not None or isinstance(error, Mapping)
            return McpCallItem(
                item_id=item_id,
                server_label=text_of(item, "server_label"),
                name=text_of(item, "name"),
                arguments=text_of(item, "arguments"),
                output=output,
                error=copied(error) if isinstance(error, Mapping) else None,
                status="completed" if over else "in_progress",  # it has none of its own
                approval_request_id=text_of(item, "approval_request_id") or None,
            )
        case "mcp_approval_request":
            return McpApprovalRequestItem(
                item_id=item_id,
                server_label=text_of(item, "server_label"),
                name=text_of(item, "name"),
                arguments=text_of(item, "arguments"),
            )
    return None


def item_to_wire(item: RealtimeItem) -> list[dict[str, Any]]:
    """Return the wire items that create `item` anew: one, or two for a call with its output.

    Raises `ConfigurationError` for what the API can't create: assistant audio, and MCP items.
    """
    if isinstance(item, RealtimeToolCallItem):
        call = {
            "type": "function_call",
            "id": item.item_id,
            "call_id": item.call_id,
            "name": item.name,
            "arguments": item.arguments,
        }
        if item.output is None:
            return [call]
        output_id = f"{item.item_id[:28]}_out"  # ids had at most 32 characters
        output = {"type": "function_call_output", "id": output_id, "call_id": item.call_id, "output": item.output}
        return [call, output]
    if isinstance(item, SystemMessageItem | UserMessageItem | AssistantMessageItem):
        return [
            {
                "type": "message",
                "id": item.item_id,
                "role": item.role,
                "content": [_part_to_wire(item, part) for part in item.content],
            }
        ]
    raise ConfigurationError(
        f"item {item.item_id!r} is {item.type}: the API can't create or change it. Leave it out of the new history, "
        "or keep it unchanged."
    )


def message_to_wire(message: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return the wire item of a user's message: text, or {"role": "user", "content": [parts]}.

    Raises `ConfigurationError` for what is no message, before anything is sent.
    """
    if isinstance(message, str):
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": message}]}
    if not isinstance(message, Mapping):
        raise ConfigurationError(f"a message is a str or a mapping, not {type(message).__name__}")
    role = message.get("role", "user")
    if role not in ("user", "system"):
        raise ConfigurationError(f"a message's role is 'user' or 'system', not {role!r}")
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    if not isinstance(content, list | tuple) or not content:
        raise ConfigurationError("a message needs content: a non-empty list of input_text and input_image parts")
    wire: dict[str, Any] = {"type": "message", "role": role, "content": [_input_part(part) for part in content]}
    if "id" in message:
        wire["id"] = message["id"]
    return wire


def _input_part(part: Any) -> dict[str, Any]:
    if isinstance(part, Mapping):
        kind = part.get("type")
        if kind == "input_text" and isinstance(part.get("text"), str):
            return {"type": kind, "text": part["text"]}
        if kind == "input_audio" and isinstance(part.get("audio"), str):
            return {key: part[key] for key in ("type", "audio", "transcript") if key in part}
        image = part.get("image_url") or part.get("image")
        if kind == "input_image" and isinstance(image, str) and image:
            detail = part.get("detail")
            if detail not in (None, "auto", "low", "high"):
                raise ConfigurationError(f"an image's detail is 'auto', 'low' or 'high', not {detail!r}")
            return {"type": kind, "image_url": image, **({"detail": detail} if detail else {})}
        raise ConfigurationError(
            f"a content part of type {kind!r} can't be sent: give input_text with text, input_image with image_url, "
            "or input_audio with base64 audio"
        )
    raise ConfigurationError(f"a content part is a mapping with a type, not {type(part).__name__}")


def _message(item: Mapping[str, Any], item_id: str, status: ItemStatus, response_id: str | None) -> RealtimeItem | None:
    parts = item.get("content")
    content = (
        tuple(part for part in (_part(raw) for raw in parts if isinstance(raw, Mapping)) if part is not None)
        if isinstance(parts, list)
        else ()
    )
    match item.get("role"):
        case "system":
            return SystemMessageItem(item_id=item_id, content=content, status=status)
        case "user":
            return UserMessageItem(item_id=item_id, content=content, status=status)
        case "assistant":
            return AssistantMessageItem(item_id=item_id, content=content, status=status, response_id=response_id)
    return None


def _part(part: Mapping[str, Any]) -> ContentPart | None:
    """Both vocabularies are known: output_text and text, output_audio and audio."""
    match part.get("type"):
        case "input_text":
            return InputText(text_of(part, "text"))
        case "input_audio":
            return InputAudio(_optional(part, "transcript"), _optional(part, "audio"))
        case "input_image":
            return InputImage(_optional(part, "image_url"), _optional(part, "detail"))
        case "text" | "output_text":
            return AssistantText(text_of(part, "text"))
        case "audio" | "output_audio":
            return AssistantAudio(_optional(part, "transcript"), _optional(part, "audio"))
    return None


def _optional(part: Mapping[str, Any], key: str) -> str | None:
    value = part.get(key)
    return value if isinstance(value, str) else None


def _part_to_wire(item: RealtimeItem, part: ContentPart) -> dict[str, Any]:
    match part:
        case InputText():
            return {"type": "input_text", "text": part.text}
        case AssistantText():
            return {"type": "output_text", "text": part.text}
        case InputImage() if part.image_url:
            return {"type": "input_image", "image_url": part.image_url} | (
                {"detail": part.detail} if part.detail else {}
            )
        case InputAudio() if part.audio:
            return {"type": "input_audio", "audio": part.audio}
        case InputAudio() if part.transcript:
            return {"type": "input_text", "text": part.transcript}
    raise ConfigurationError(
        f"item {item.item_id!r} holds a part of type {part.type} that the API can't create anew. Give the assistant's "
        "words as text, or keep the item unchanged."
    )
