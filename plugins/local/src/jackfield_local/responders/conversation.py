"""What the conversation so far says, read from the wire's items: who said what, and what is still to be answered.

Reading only; what to answer is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

Item = Mapping[str, Any]

MOST_UTTERANCES = 12
"""How many turns a request can take."""


@frozen
class ToolResult:
    """The output of a call, or what went wrong with it, with the name of the tool where the call is known."""

    name: str
    output: str


def text_of(item: Item) -> str:
    """Return what a message item says: its text, or the transcript of its audio; "" for other items."""
    parts = item.get("content")
    if item.get("type", "message") != "message" or not isinstance(parts, Sequence) or isinstance(parts, str):
        return ""
    texts = [part.get("text") or part.get("transcript") for part in parts if isinstance(part, Mapping)]
    return " ".join(text.strip() for text in texts if isinstance(text, str) and text.strip())


def shows_image(item: Item) -> bool:
    """Tell whether a message item has a picture in it."""
    parts = item.get("content")
    return isinstance(parts, Sequence) and any(
        isinstance(part, Mapping) and part.get("type") == "input_image" for part in parts
    )


def pending_results(items: Sequence[Item]) -> list[ToolResult]:
    """Return the outputs that nobody has spoken about yet, oldest first.

    Those are the outputs since the last message; a message that a user sent meanwhile is answered instead. What came
    of a hosted call counts where the call is, or where the client approved it.
    """
    approved = {item.get("approval_request_id"): item for item in items if item.get("type") == "mcp_call"}
    names = {item.get("call_id"): item.get("name") for item in items if item.get("type") == "function_call"}
    results: list[ToolResult] = []
    for item in reversed(items):
        if item.get("type") == "function_call_output":
            output = item.get("output")
            results.append(
                ToolResult(str(names.get(item.get("call_id")) or ""), output if isinstance(output, str) else "")
            )
        elif item.get("type") == "mcp_call" and item.get("approval_request_id") is None:
            results += _hosted_result(item)
        elif item.get("type") == "mcp_approval_response":
            results += _hosted_result(approved.get(item.get("approval_request_id"), {}))
        elif item.get("type") == "message" and item.get("role") in ("user", "assistant"):
            break
    return results[::-1]


def open_requests(items: Sequence[Item]) -> list[str]:
    """Return the user's utterances since the last call, oldest first: a request and answers to questions.

    No more than the last `MOST_UTTERANCES`: a long talk mustn't make every answer slower.
    """
    texts: list[str] = []
    for item in reversed(items):
        if item.get("type") in ("function_call", "function_call_output", "mcp_call") or len(texts) == MOST_UTTERANCES:
            break
        if item.get("type") == "message" and item.get("role") == "user":
            texts.append(text_of(item))
    return texts[::-1]


def last_user_text(items: Sequence[Item]) -> str:
    """Return what the user said last, or ""."""
    return next((text_of(item) for item in reversed(items) if _said_by(item, "user")), "")


def last_assistant_text(items: Sequence[Item]) -> str:
    """Return what the assistant said last, or ""."""
    return next((text for item in reversed(items) if _said_by(item, "assistant") and (text := text_of(item))), "")


def assistant_has_spoken(items: Sequence[Item]) -> bool:
    """Tell whether any item is the assistant's."""
    return any(_said_by(item, "assistant") for item in items)


def _hosted_result(call: Item) -> list[ToolResult]:
    error = call.get("error")
    said = error.get("message") if isinstance(error, Mapping) else call.get("output")
    return [ToolResult(str(call.get("name") or ""), said)] if isinstance(said, str) else []


def _said_by(item: Item, role: str) -> bool:
    return item.get("type") == "message" and item.get("role") == role
