"""Content: a turn's messages, in the shape of the GenAI conventions. Recorded only where that was asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jackfield.tools import tool_output_text
from jackfield.transport import redact
from jackfield.transport.items import (
    AssistantMessageItem,
    RealtimeItem,
    RealtimeToolCallItem,
    SystemMessageItem,
    UserMessageItem,
)

__all__ = ["messages_of", "result_of"]

_Message = dict[str, Any]

_FINISH_REASONS = {"completed": "stop", "failed": "error"}


def messages_of(history: Sequence[RealtimeItem], response_id: str, status: str) -> tuple[str, str]:
    """Return, as JSON, what a response answers and what it said, as far as the history tells.

    What it answers is what came into the conversation since the model's last message: words of the user and the
    system, and outputs of tools.
    """
    first = next((place for place, item in enumerate(history) if _made_by(item) == response_id), len(history))
    answered: list[_Message] = []
    only_calls = False
    for item in reversed(history[:first]):
        if isinstance(item, RealtimeToolCallItem):
            only_calls = True
            if item.output is not None:
                part = {"type": "tool_call_response", "id": item.call_id, "response": redact(item.output)}
                answered.insert(0, {"role": "tool", "parts": [part]})
        elif only_calls or isinstance(item, AssistantMessageItem):
            break
        elif isinstance(item, UserMessageItem | SystemMessageItem):
            answered.insert(0, {"role": item.role, "parts": _texts(item)})
    parts = [part for item in history[first:] if _made_by(item) == response_id for part in _parts(item)]
    called = any(part["type"] == "tool_call" for part in parts)
    reason = "tool_call" if called and status == "completed" else _FINISH_REASONS.get(status, status)
    return _as_json(answered), _as_json([{"role": "assistant", "parts": parts, "finish_reason": reason}])


def result_of(output: Any) -> str:
    """Return a tool's result as the model gets it."""
    return redact(tool_output_text(output))


def _made_by(item: RealtimeItem) -> str | None:
    return item.response_id if isinstance(item, AssistantMessageItem | RealtimeToolCallItem) else None


def _parts(item: RealtimeItem) -> list[_Message]:
    if isinstance(item, RealtimeToolCallItem):
        arguments = redact(item.arguments)
        return [{"type": "tool_call", "id": item.call_id, "name": item.name, "arguments": arguments}]
    return _texts(item) if isinstance(item, AssistantMessageItem) else []


def _texts(item: AssistantMessageItem | UserMessageItem | SystemMessageItem) -> list[_Message]:
    words = (getattr(part, "text", None) or getattr(part, "transcript", None) for part in item.content)
    return [{"type": "text", "content": redact(text)} for text in words if text]


def _as_json(messages: list[_Message]) -> str:
    return json.dumps(messages, ensure_ascii=False)
