"""What an MCP tool returned, as the text that a model gets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock

__all__ = ["result_text"]


def result_text(result: CallToolResult) -> str:
    """Return the texts of a result, or without any its structured content as JSON; then what else there is.

    Pictures, sounds and files are described, each by an object of JSON: a realtime model takes no other outputs.
    """
    texts = [text for block in result.content if (text := _text(block)) is not None]
    if not texts and result.structured_content is not None:
        texts.append(_json(result.structured_content))
    others = [_json(_description(block)) for block in result.content if _text(block) is None]
    return "\n".join([*texts, *others])


def _text(block: ContentBlock) -> str | None:
    if block.type == "text":
        return block.text
    if block.type == "resource":
        return getattr(block.resource, "text", None)
    return None


def _description(block: ContentBlock) -> dict[str, Any]:
    whole = block.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta", "annotations", "icons"})
    said = {"type": whole.pop("type"), **whole.pop("resource", {}), **whole}
    for key in ("data", "blob"):
        if key in said:
            said["bytes"] = len(said.pop(key)) * 3 // 4  # of Base64
    return said


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
